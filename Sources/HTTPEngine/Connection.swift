// One socket to a receiver, and one attempt on its way. Both belong to the engine's thread and are plain records; what
// happens to them is in the extensions of `EngineThread`.
internal import Core
internal import Glibc

final class Connection {
    enum Phase { case connecting, handshaking, exchanging, idle }

    let slot: Int
    let generation: UInt32
    let descriptor: Int32
    let key: PoolKey
    var phase = Phase.connecting
    var tls: TLSStream?
    var attempt: Attempt?
    var reader = ResponseReader()
    /// Requests answered on this connection before the present one.
    var exchanges = 0
    /// What of the request the socket has not taken yet; empty nearly always.
    var unsent: [UInt8] = []
    var unsentStart = 0
    /// It may finish its exchange, but no other: its address is denied since.
    var mayNotBeReused = false

    init(slot: Int, generation: UInt32, descriptor: Int32, key: PoolKey) {
        self.slot = slot
        self.generation = generation
        self.descriptor = descriptor
        self.key = key
    }

    var isOpening: Bool { phase == .connecting || phase == .handshaking }
    var isSent: Bool { unsentStart == unsent.count }

    func read(into buffer: UnsafeMutableRawBufferPointer) -> TransferResult {
        if let tls { return tls.read(into: buffer) }
        return Socket.read(descriptor, into: buffer)
    }

    /// Adds a part of the request to what is left to write, but for the bytes of it that are written already.
    func queue(_ part: [UInt8], skipping written: inout Int) {
        let skipped = min(written, part.count)
        written -= skipped
        unsent.append(contentsOf: part[skipped...])
    }

    /// Writes what is left; false if the connection is broken.
    func flush() -> Bool {
        while unsentStart < unsent.count {
            let result = unsent.withUnsafeBytes { bytes in
                let rest = UnsafeRawBufferPointer(rebasing: bytes[unsentStart...])
                return tls?.write(rest) ?? Socket.write(descriptor, rest)
            }
            switch result {
            case .bytes(let count): unsentStart += count
            case .wouldBlock: return true
            case .ended, .broken, .tlsBroken: return false
            }
        }
        unsent.removeAll(keepingCapacity: unsent.capacity <= 64 * 1024)
        unsentStart = 0
        return true
    }

    func close() {
        if phase == .exchanging || phase == .idle { tls?.shutdown() }
        tls = nil
        Glibc.close(descriptor)
    }
}

/// Records are reused; `index` is also the id of the attempt's timer.
final class Attempt {
    enum Phase { case free, resolving, waiting, connecting, handshaking, exchanging }

    let index: Int
    var phase = Phase.free
    var request: HTTPRequest?
    var key: PoolKey?
    var race = AddressRace()
    /// Connections that are being made; the first to stand becomes `connection`.
    var racers: [Connection] = []
    /// Why the last of them did not come about.
    var connectFailure = AttemptFailure.connectFailed
    /// It was our own want of descriptors or ports.
    var isExhausted = false
    var connection: Connection?
    var startedAt: UInt64 = 0
    var startedAtWall: Int64 = 0
    var waitingSince: UInt64 = 0
    var deadline: UInt64 = 0
    /// When a success that is kept had its head whole.
    var headAt: UInt64?
    var isReused = false
    /// The result was handed out; only the rest of the body is awaited.
    var isEmitted = false

    init(index: Int) { self.index = index }

    /// Whose it is, to those that wait with it: a webhook has one endpoint for all its requests.
    var owner: UInt { request.map { UInt(bitPattern: ObjectIdentifier($0.endpoint)) } ?? 0 }

    func reset() {
        phase = .free
        request = nil
        key = nil
        race = AddressRace()
        racers.removeAll(keepingCapacity: true)
        isExhausted = false
        connection = nil
        headAt = nil
        isReused = false
        isEmitted = false
    }
}
