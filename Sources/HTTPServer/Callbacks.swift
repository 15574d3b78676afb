// The functions libmicrohttpd calls on its own thread. They are free functions on purpose: a closure written in a
// main-actor place would trap there.
internal import CMicroHTTPD
internal import Glibc

private func core(_ context: UnsafeMutableRawPointer?) -> ServerCore {
    Unmanaged<ServerCore>.fromOpaque(context!).takeUnretainedValue()
}

/// A connection was accepted, or is about to be closed. It keeps its Peer in between.
func connectionChanged(
    _ context: UnsafeMutableRawPointer?, _ connection: OpaquePointer?,
    _ kept: UnsafeMutablePointer<UnsafeMutableRawPointer?>?, _ code: MHD_ConnectionNotificationCode
) {
    guard let connection, let kept else { return }
    if cmicrohttpd_is_started(code) != 0 {
        let peer = Peer(
            descriptor: cmicrohttpd_socket(connection), address: addressText(cmicrohttpd_client_address(connection)))
        core(context).peers.add(peer)
        kept.pointee = Unmanaged.passRetained(peer).toOpaque()
    } else if let opaque = kept.pointee {
        core(context).peers.remove(Unmanaged<Peer>.fromOpaque(opaque).takeRetainedValue())
        kept.pointee = nil
    }
}

/// A request line is complete; what is returned stays with the request until ``requestCompleted``.
func requestLineRead(
    _ context: UnsafeMutableRawPointer?, _ target: UnsafePointer<CChar>?, _ connection: OpaquePointer?
) -> UnsafeMutableRawPointer? {
    guard let connection, let opaque = cmicrohttpd_socket_context(connection) else { return nil }
    let bytes = UnsafeRawBufferPointer(start: target, count: target.map { strlen($0) } ?? 0)
    let peer = Unmanaged<Peer>.fromOpaque(opaque).takeUnretainedValue()
    return Unmanaged.passRetained(core(context).begin(target: Array(bytes), peer: peer)).toOpaque()
}

func requestAdvanced(
    _ context: UnsafeMutableRawPointer?, _ connection: OpaquePointer?, _ url: UnsafePointer<CChar>?,
    _ method: UnsafePointer<CChar>?, _ version: UnsafePointer<CChar>?, _ upload: UnsafePointer<CChar>?,
    _ uploadSize: UnsafeMutablePointer<Int>?, _ kept: UnsafeMutablePointer<UnsafeMutableRawPointer?>?
) -> MHD_Result {
    guard let connection, let url, let method, let version, let uploadSize, let opaque = kept?.pointee else {
        return .NO
    }
    let exchange = Unmanaged<Exchange>.fromOpaque(opaque).takeUnretainedValue()
    let piece = UnsafeRawBufferPointer(start: upload, count: uploadSize.pointee)
    let result = core(context).advance(
        exchange, connection: connection, method: String(cString: method), upload: piece,
        head: {
            RawHead(
                connection: connection, method: method, version: version, target: url,
                targetLength: exchange.target.count)
        })
    if result == .YES { uploadSize.pointee = 0 }
    return result
}

func requestCompleted(
    _ context: UnsafeMutableRawPointer?, _ connection: OpaquePointer?,
    _ kept: UnsafeMutablePointer<UnsafeMutableRawPointer?>?, _ code: MHD_RequestTerminationCode
) {
    guard let opaque = kept?.pointee else { return }
    core(context).end(Unmanaged<Exchange>.fromOpaque(opaque).takeRetainedValue())
    kept?.pointee = nil
}
