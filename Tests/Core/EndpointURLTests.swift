// What may be registered: each rule of the contract with an example on both sides.
import Core
import Testing

@Suite struct EndpointURLTests {
    static let loopbackAllowed = AddressPolicy(allow: [Network("127.0.0.0/8")!])

    private func fault(_ text: String, allowHTTP: Bool = false, policy: AddressPolicy = AddressPolicy())
        -> EndpointFault?
    {
        do {
            _ = try EndpointURL(text, allowHTTP: allowHTTP, policy: policy)
            return nil
        } catch {
            return error
        }
    }

    @Test(arguments: [
        ("https://example.com", "example.com", 443, "/", "example.com"),
        ("HTTPS://Example.COM/Hook?x=%20", "example.com", 443, "/Hook?x=%20", "example.com"),
        ("https://example.com?a=1", "example.com", 443, "/?a=1", "example.com"),
        ("https://example.com.:8443/", "example.com", 8443, "/", "example.com:8443"),
        ("https://example.com:443/", "example.com", 443, "/", "example.com"),
        (
            "https://a_b.xn--bcher-kva.example/a@b:c", "a_b.xn--bcher-kva.example", 443, "/a@b:c",
            "a_b.xn--bcher-kva.example"
        ),
        ("https://8.8.8.8/", "8.8.8.8", 443, "/", "8.8.8.8"),
        ("https://134744072/", "8.8.8.8", 443, "/", "8.8.8.8"),
        ("https://0x8.010.2056/", "8.8.8.8", 443, "/", "8.8.8.8"),
        ("https://%38.8.8.8:8080/", "8.8.8.8", 8080, "/", "8.8.8.8:8080"),
        ("https://[2A00:1450::0:1]/x", "2a00:1450::1", 443, "/x", "[2a00:1450::1]"),
        ("https://[2a00::1]:444", "2a00::1", 444, "/", "[2a00::1]:444"),
        ("https://localhost.example.com/", "localhost.example.com", 443, "/", "localhost.example.com"),
        ("https://notlocal.example/", "notlocal.example", 443, "/", "notlocal.example"),
    ])
    func takesApart(_ text: String, _ host: String, _ port: Int, _ target: String, _ header: String) throws {
        let url = try EndpointURL(text, allowHTTP: false, policy: AddressPolicy())
        #expect(url.isTLS)
        #expect(url.host == host)
        #expect(Int(url.port) == port)
        #expect(url.target == target)
        #expect(url.hostHeader == header)
        #expect((url.serverName == nil) == (url.literal != nil))
    }

    @Test(arguments: [
        ("", EndpointFault.empty), ("ftp://example.com/", .scheme), ("example.com", .scheme),
        ("https:/example.com", .scheme),
        ("http://example.com/", .notHTTPS), ("https://exämple.com/", .notASCII), ("https://１２７.0.0.1/", .notASCII),
        ("https://example.com/a b", .whiteSpace), (" https://example.com/", .whiteSpace),
        ("https://example.com/\t", .whiteSpace),
        ("https://example.com/\r\nX: y", .whiteSpace), ("https://example.com/\u{0}", .controlCharacter),
        ("https://example.com/\u{7f}", .controlCharacter), ("https://example.com\\@evil.com/", .backslash),
        ("https://user@example.com/", .userInfo), ("https://user:pw@example.com/", .userInfo),
        ("https://@example.com", .userInfo),
        ("https://example.com/#top", .fragment), ("https://[fe80::1%25eth0]/", .zoneID),
        ("https://[fe80::1%eth0]/", .zoneID),
        ("https://example.com:0/", .port), ("https://example.com:65536/", .port), ("https://example.com:/", .port),
        ("https://example.com:+1/", .port), ("https://example.com:8o/", .port), ("https://a.b:1:2/", .port),
        ("https:///path", .host), ("https://", .host), ("https://:443/", .host), ("https://.example.com/", .host),
        ("https://a..example.com/", .host), ("https://example.com../", .host), ("https://-a.example.com/", .host),
        ("https://a!.example.com/", .host), ("https://[::1/", .host), ("https://[1.2.3.4]/", .host),
        ("https://[2a00::1]x/", .host),
        ("https://ex%61mple.com/", .host), ("https://%ef%bc%91.example/", .host), ("https://%zz.example/", .host),
        ("https://%e3%80%82/", .host),
        ("https://example/", .singleLabel), ("https://intranet:8443/", .singleLabel),
        ("https://example.123/", .numericName), ("https://example.0x1/", .numericName),
        ("https://1.2.3.4.5/", .numericName),
        ("https://256.256.256.256/", .numericName), ("https://08.8.8.8/", .numericName),
        ("https://4294967296/", .numericName),
        ("https://1..2/", .numericName),
        ("https://localhost/", .specialName), ("https://localhost./", .specialName),
        ("https://a.localhost/", .specialName),
        ("https://printer.local/", .specialName), ("https://printer.LOCAL./", .specialName),
        ("https://metadata.google.internal/", .specialName), ("https://router.home.arpa/", .specialName),
        ("https://home.arpa/", .specialName), ("https://api.default.svc/", .specialName),
        ("https://api.default.svc.cluster.local./", .specialName),
    ])
    func refuses(_ text: String, _ expected: EndpointFault) { #expect(fault(text) == expected, "\(text)") }

    /// Every notation of an address on our side of the network, each ending at a denied one.
    @Test(arguments: [
        "127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001",
        "127.0.0.1.",
        "0x7F.0X0.0.1", "%31%32%37.0.0.1", "127%2e0%2E0.1", "0", "0.0.0.0", "0x", "10.0.0.1", "012.1",
        "169.254.169.254",
        "0xa9fea9fe", "2852039166", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]", "[2001:0:7f00:1::]", "[fe80::1]", "[fd00::1]", "[2a00::5efe:127.0.0.1]", "255.255.255.255",
        "168.63.129.16",
    ])
    func deniesAddressesInAnyNotation(_ host: String) {
        #expect(fault("https://\(host)/") == .addressDenied)
        #expect(fault("https://\(host):8443/x?y") == .addressDenied)
    }

    @Test func allowsWhatTheConfigurationAllows() throws {
        let policy = Self.loopbackAllowed
        #expect(fault("http://127.0.0.1:8080/") == .notHTTPS)
        let url = try EndpointURL("http://127.1:8080/", allowHTTP: true, policy: policy)
        #expect(url.literal == IPAddress("127.0.0.1") && url.hostHeader == "127.0.0.1:8080" && !url.isTLS)
        #expect(fault("https://localhost/", policy: policy) == .specialName, "networks are allowed, names are not")
        #expect(fault("https://a.localhost/", policy: policy) == .specialName)
        #expect(fault("https://10.0.0.1/", policy: policy) == .addressDenied)
    }

    @Test func deniesOwnListeners() {
        let policy = AddressPolicy(
            allow: [Network("127.0.0.0/8")!], ownListeners: [.init(address: IPAddress("127.0.0.1")!, port: 8080)])
        #expect(fault("https://127.1:8080/", policy: policy) == .addressDenied)
        #expect(fault("https://127.1:8081/", policy: policy) == nil)
    }

    @Test func boundsTheLengthAtTheByte() {
        let start = "https://example.com/"
        #expect(fault(start + String(repeating: "a", count: 2048 - start.utf8.count)) == nil)
        #expect(fault(start + String(repeating: "a", count: 2049 - start.utf8.count)) == .tooLong)
    }

    @Test func everyFaultHasItsOwnText() {
        #expect(Set(EndpointFault.allCases.map(\.text)).count == EndpointFault.allCases.count)
    }
}
