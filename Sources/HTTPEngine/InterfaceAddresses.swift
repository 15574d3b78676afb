// The addresses of this machine, for the listeners of ours that no POST may reach.
internal import CAres  // its headers bring the socket types into view first
package import Core
internal import Glibc

package enum InterfaceAddresses {
    /// Every address of every interface; empty if the system does not say.
    package static func all() -> [IPAddress] {
        var list: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&list) == 0 else { return [] }
        defer { freeifaddrs(list) }
        var addresses: [IPAddress] = []
        var entry = list
        while let current = entry {
            entry = current.pointee.ifa_next
            if let name = current.pointee.ifa_addr, let address = Socket.address(name) { addresses.append(address) }
        }
        return addresses
    }
}
