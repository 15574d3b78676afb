// The deny table, walked at the addresses just inside and just outside each range.
import Core
import Testing

@Suite struct AddressPolicyTests {
    /// Inside addresses get the class, outside ones must be global.
    static let ranges: [(AddressClass, inside: [String], outside: [String])] = [
        (.thisNetwork, ["0.0.0.0", "0.255.255.255"], ["1.0.0.0"]),
        (.privateUse, ["10.0.0.0", "10.255.255.255"], ["9.255.255.255", "11.0.0.0"]),
        (.carrierShared, ["100.64.0.0", "100.127.255.255"], ["100.63.255.255", "100.128.0.0"]),
        (.loopback, ["127.0.0.0", "127.0.0.1", "127.255.255.255"], ["126.255.255.255", "128.0.0.0"]),
        (.linkLocal, ["169.254.0.0", "169.254.169.254", "169.254.255.255"], ["169.253.255.255", "169.255.0.0"]),
        (.privateUse, ["172.16.0.0", "172.31.255.255"], ["172.15.255.255", "172.32.0.0"]),
        (.protocolAssignment, ["192.0.0.0", "192.0.0.255"], ["191.255.255.255", "192.0.1.0"]),
        (.documentation, ["192.0.2.0", "192.0.2.255"], ["192.0.1.255", "192.0.3.0"]),
        (.relay, ["192.88.99.0", "192.88.99.255"], ["192.88.98.255", "192.88.100.0"]),
        (.privateUse, ["192.168.0.0", "192.168.255.255"], ["192.167.255.255", "192.169.0.0"]),
        (.benchmarking, ["198.18.0.0", "198.19.255.255"], ["198.17.255.255", "198.20.0.0"]),
        (.documentation, ["198.51.100.0", "198.51.100.255"], ["198.51.99.255", "198.51.101.0"]),
        (.documentation, ["203.0.113.0", "203.0.113.255"], ["203.0.112.255", "203.0.114.0"]),
        (.multicast, ["224.0.0.0", "239.255.255.255"], ["223.255.255.255"]),
        (.reserved, ["240.0.0.0", "255.255.255.255"], []),
        (.platform, ["168.63.129.16"], ["168.63.129.15", "168.63.129.17"]),
        (.thisNetwork, ["::"], []),
        (.loopback, ["::1"], []),
        (.embeddedIPv4, ["::2", "::7f00:1", "::8.8.8.8", "64:ff9b::7f00:1", "64:ff9b:1::1"], []),
        (.notGlobalUnicast, ["1fff:ffff::1", "4000::1", "100::1", "fec0::1"], ["2a00::1", "3ffe:ffff::1"]),
        (.uniqueLocal, ["fc00::1", "fdff:ffff::1", "fd00:ec2::254"], []),
        (.linkLocal, ["fe80::1", "febf:ffff::1"], []),
        (.multicast, ["ff00::1", "ff02::1", "ffff::1"], []),
        (
            .protocolAssignment, ["2001::", "2001::7f00:1", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"],
            ["2000::1", "2001:200::"]
        ),
        (
            .documentation, ["2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"],
            ["2001:db7:ffff::1", "2001:db9::"]
        ),
        (.embeddedIPv4, ["2002::", "2002:7f00:1::", "2002:ffff::1"], ["2001:ffff::1", "2003::"]),
        (.documentation, ["3fff::", "3fff:fff:ffff::1"], ["3ffe:ffff::1", "3fff:1000::"]),
        (
            .embeddedIPv4, ["2a00::5efe:10.0.0.1", "2a00::200:5efe:127.0.0.1"],
            ["2a00::5efe:8.8.8.8", "2a00::1:5efe:127.0.0.1"]
        ),
    ]

    @Test(arguments: ranges.indices) func judgesJustInsideAndJustOutside(_ row: Int) throws {
        let (expected, inside, outside) = Self.ranges[row]
        let policy = AddressPolicy()
        for text in inside {
            #expect(policy.judge(try #require(IPAddress(text)), port: 443) == .denied(expected), "\(text)")
        }
        for text in outside {
            #expect(policy.judge(try #require(IPAddress(text)), port: 443) == .allowed, "\(text)")
        }
    }

    @Test(arguments: ["127.0.0.1", "10.1.2.3", "169.254.169.254", "8.8.8.8"])
    func judgesMappedAddressesAsIPv4(_ text: String) throws {
        let plain = try #require(IPAddress(text))
        let mapped = try #require(IPAddress("::ffff:" + text))
        #expect(plain == mapped)
        #expect(AddressPolicy().judge(mapped) == AddressPolicy().judge(plain))
    }

    @Test func allowWinsOverBothDenyLists() throws {
        let policy = AddressPolicy(
            allow: [Network("127.0.0.0/8")!], deny: [Network("127.0.0.1/32")!, Network("8.8.8.0/24")!])
        #expect(policy.judge(IPAddress("127.0.0.1")!) == .allowed)
        #expect(policy.judge(IPAddress("8.8.8.8")!) == .denied(.configured))
        #expect(policy.judge(IPAddress("8.8.9.8")!) == .allowed)
        #expect(policy.judge(IPAddress("10.0.0.1")!) == .denied(.privateUse))
        #expect(policy.judge(IPAddress("::1")!) == .denied(.loopback))
    }

    @Test func ownListenersAreDeniedEvenIfAllowed() throws {
        let loopback = IPAddress("127.0.0.1")!
        let policy = AddressPolicy(
            allow: [Network("0.0.0.0/0")!, Network("::/0")!],
            ownListeners: [
                .init(address: loopback, port: 8080), .init(address: IPAddress("0.0.0.0")!, port: 8081),
            ])
        #expect(policy.judge(loopback, port: 8080) == .denied(.ownListener))
        #expect(policy.judge(loopback, port: 8082) == .allowed)
        #expect(policy.judge(IPAddress("127.0.0.2")!, port: 8080) == .allowed)
        #expect(policy.judge(IPAddress("127.0.0.2")!, port: 8081) == .denied(.ownListener))
        #expect(policy.judge(IPAddress("0.0.0.0")!, port: 8080) == .denied(.ownListener))
        #expect(policy.judge(IPAddress("::")!, port: 8081) == .denied(.ownListener))
    }

    @Test func everyClassHasItsOwnText() {
        #expect(Set(AddressClass.allCases.map(\.text)).count == AddressClass.allCases.count)
    }

    // MARK: Addresses and networks as text

    @Test(arguments: [
        ("1.2.3.4", "1.2.3.4"), ("255.255.255.255", "255.255.255.255"), ("::", "::"), ("::1", "::1"),
        ("1::", "1::"), ("2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"), ("::ffff:1.2.3.4", "1.2.3.4"),
        ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"), ("1:0:3:4:5:6:7:8", "1:0:3:4:5:6:7:8"),
        ("64:ff9b::1.2.3.4", "64:ff9b::102:304"), ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"),
    ])
    func readsAndWritesCanonicalText(_ text: String, _ canonical: String) throws {
        let address = try #require(IPAddress(text))
        #expect(address.description == canonical)
        #expect(IPAddress(canonical) == address)
        address.bytes.withUnsafeBytes { #expect(IPAddress(bytes: $0) == address) }
    }

    @Test(arguments: [
        "", ".", "1.2.3", "1.2.3.4.5", "01.2.3.4", "1.2.3.256", "1.2.3.-1", "1.2.3.4 ", "0x7f.0.0.1", "1..2.3", ":",
        ":::",
        "1:2", "1:2:3:4:5:6:7:8:9", "1::2::3", "::1%eth0", "[::1]", "12345::", "::1.2.3", "1:2:3:4:5:6:7:1.2.3.4", "1:",
        ":1",
        "1:2:3:4:5:6:7:8::", "::g", "::1.2.3.4:1",
    ])
    func refusesOtherText(_ text: String) { #expect(IPAddress(text) == nil) }

    @Test func networksHoldTheirEndsOnly() {
        let network = Network("192.0.2.64/26")!
        #expect(network.contains(IPAddress("192.0.2.64")!) && network.contains(IPAddress("192.0.2.127")!))
        #expect(!network.contains(IPAddress("192.0.2.63")!) && !network.contains(IPAddress("192.0.2.128")!))
        #expect(
            Network("0.0.0.0/0")!.contains(IPAddress("8.8.8.8")!) && !Network("0.0.0.0/0")!.contains(IPAddress("::1")!))
        #expect(!Network("::/0")!.contains(IPAddress("8.8.8.8")!) && Network("::/0")!.contains(IPAddress("fd00::1")!))
        #expect(Network("fd00::/65")!.contains(IPAddress("fd00::7fff:0:0:1")!))
        #expect(!Network("fd00::/65")!.contains(IPAddress("fd00::8000:0:0:1")!))
        #expect(Network("127.0.0.1")!.description == "127.0.0.1/32")
        for text in [
            "", "/8", "10.0.0.0/33", "10.0.0.1/8", "10.0.0.0/", "10.0.0.0/+8", "::/129", "10.0.0.0/8/8", "fd00::1/8",
        ] {
            #expect(Network(text) == nil, "\(text)")
        }
    }
}
