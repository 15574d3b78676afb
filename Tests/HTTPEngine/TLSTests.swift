// TLS towards receivers whose certificates are right, and wrong in each way that has a class of its own.
import COpenSSL
import Core
import Glibc
import HTTPEngine
import Runtime
import Testing

/// An authority and leaf certificates, made once a run by the `openssl` command in a folder of their own.
final class Certificates: Sendable {
    static let shared = Certificates()
    let folder: String

    private init() {
        var template = Array("/tmp/engine-tls-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { preconditionFailure("mkdtemp failed") }
        folder = String(cString: made)
        let status = system(
            """
            cd \(folder) && exec >log 2>&1 && set -e
            issue() {
                openssl req -new -key "${7-leaf}.key" -subj "/CN=$3" -out "$1.csr"; echo "$4" >"$1.ext"
                openssl x509 -req -in "$1.csr" -CA "${6-ca}.pem" -CAkey "${6-ca}.key" -set_serial "$5" -days "$2" \
                    -extfile "$1.ext" -out "$1.pem"
            }
            openssl ecparam -name prime256v1 -genkey -noout -out ca.key
            openssl ecparam -name prime256v1 -genkey -noout -out leaf.key
            openssl req -x509 -new -key ca.key -subj "/CN=Test authority" -days 10 -out ca.pem
            issue good 10 x "subjectAltName=DNS:receiver.example,IP:127.0.0.1" 2
            issue other 10 x "subjectAltName=DNS:other.example,IP:127.0.0.9" 3
            issue expired -1 x "subjectAltName=DNS:receiver.example,IP:127.0.0.1" 4
            issue noname 10 receiver.example "basicConstraints=CA:FALSE" 5
            openssl req -x509 -new -key leaf.key -subj "/CN=x" -addext "subjectAltName=DNS:receiver.example" -days 10 -out own.pem
            name="subjectAltName=DNS:receiver.example,IP:127.0.0.1"
            openssl genrsa -out weak.key 1024
            issue weak 10 x "$name" 6 ca weak
            openssl ecparam -name prime256v1 -genkey -noout -out middle.key
            issue middle 10 Middle "basicConstraints=critical,CA:TRUE" 7 ca middle
            issue incomplete 10 x "$name" 8 middle
            issue client 10 x "$(printf '%s\nextendedKeyUsage=clientAuth' "$name")" 9
            openssl req -new -key leaf.key -subj "/CN=x" -out early.csr; echo "$name" >early.ext
            touch index; echo 10 >serial; printf '[ca]\ndefault_ca=a\n[a]\ndatabase=index\nserial=serial\nnew_certs_dir=.\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n' >ca.conf
            openssl ca -batch -config ca.conf -cert ca.pem -keyfile ca.key -extfile early.ext \
                -startdate 20980101000000Z -enddate 20990101000000Z -in early.csr -out early.pem
            """)
        precondition(status == 0, "openssl failed, see \(folder)/log")
        atexit { _ = system("rm -rf '\(Certificates.shared.folder)'") }
    }

    func tls(_ name: String, _ version: Int32 = TLS1_3_VERSION, demandsClientCertificate: Bool = false)
        -> ScriptedServer.TLS
    {
        .init(
            certificate: "\(folder)/\(name).pem", key: "\(folder)/\(name == "weak" ? "weak" : "leaf").key",
            maximumVersion: version, demandsClientCertificate: demandsClientCertificate)
    }
}

@Suite(.timeLimit(.minutes(2))) struct TLSTests {
    /// For the whole process: where `receiver.example` is.
    private static let nameserver = ScriptedNameserver(["receiver.example": .addresses(["127.0.0.1"])])

    private func harness(authorities: String? = Certificates.shared.folder + "/ca.pem") throws -> Harness {
        try Harness {
            $0.authoritiesFile = authorities
            $0.nameservers = ["127.0.0.1:\(Self.nameserver.port)"]
        }
    }

    private static let polite: @Sendable (Peer) -> Void = { peer in
        while let request = peer.request() {
            peer.answer(200, headers: request.contains("/close") ? "Connection: close\r\n" : "", body: "ok")
        }
    }

    @Test(arguments: [TLS1_2_VERSION, TLS1_3_VERSION], ["receiver.example", "127.0.0.1"])
    func postsReusesAndResumes(_ version: Int32, _ host: String) throws {
        let server = ScriptedServer(tls: Certificates.shared.tls("good", version), Self.polite)
        defer { server.stop() }
        let harness = try harness()
        let url = "https://\(host):\(server.port)"
        #expect(try harness.post(url + "/a").outcome == .answered(status: 200))
        let reused = try harness.post(url + "/close", body: String(repeating: "b", count: 200_000))
        #expect(reused.outcome == .answered(status: 200) && reused.reusedConnection)
        let counters = harness.engine.counters
        #expect(counters.tlsHandshakes == 1)
        let again = try harness.post(url + "/b")
        #expect(again.outcome == .answered(status: 200) && !again.reusedConnection)
        #expect(harness.engine.counters.tlsResumptions == 1)
        harness.engine.stop()
    }

    @Test(arguments: [
        ("other", AttemptFailure.tlsWrongHost), ("expired", .tlsExpired), ("noname", .tlsWrongHost),
        ("own", .tlsSelfSigned), ("early", .tlsNotYetValid), ("weak", .tlsUntrusted), ("incomplete", .tlsUntrusted),
        ("client", .tlsUntrusted),
    ])
    func refuses(_ certificate: String, _ failure: AttemptFailure) throws {
        let requests = Guarded(0)
        let server = ScriptedServer(tls: Certificates.shared.tls(certificate)) { peer in
            while peer.request() != nil { requests.withLock { $0 += 1 } }
        }
        defer { server.stop() }
        let harness = try harness()
        for host in ["receiver.example", "127.0.0.1"] {
            #expect(try harness.post("https://\(host):\(server.port)/").outcome == .failed(failure))
        }
        harness.engine.stop()
        #expect(requests.withLock { $0 } == 0)
    }

    @Test func refusesAnAuthorityItDoesNotKnow() throws {
        let server = ScriptedServer(tls: Certificates.shared.tls("good"), Self.polite)
        defer { server.stop() }
        let harness = try harness(authorities: nil)
        #expect(try harness.post("https://receiver.example:\(server.port)/").outcome == .failed(.tlsUntrusted))
        harness.engine.stop()
    }

    /// The handshake itself goes wrong, each time in another way.
    @Test(arguments: [TLS1_VERSION, TLS1_1_VERSION]) func refusesOldVersions(_ version: Int32) throws {
        let server = ScriptedServer(tls: Certificates.shared.tls("good", version), Self.polite)
        defer { server.stop() }
        let harness = try harness()
        #expect(try harness.post("https://receiver.example:\(server.port)/").outcome == .failed(.tlsTooOld))
        harness.engine.stop()
    }

    /// We have no certificate of our own; TLS 1.3 says so only after its handshake.
    @Test(arguments: [TLS1_2_VERSION, TLS1_3_VERSION]) func hasNoClientCertificate(_ version: Int32) throws {
        let server = ScriptedServer(
            tls: Certificates.shared.tls("good", version, demandsClientCertificate: true), Self.polite)
        defer { server.stop() }
        let harness = try harness()
        #expect(try harness.post("https://receiver.example:\(server.port)/").outcome == .failed(.tlsAlert))
        harness.engine.stop()
    }

    @Test(arguments: [
        ("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", AttemptFailure.tlsNotSpoken),
        ("SSH-2.0-OpenSSH_9.2\r\n", .tlsNotSpoken),
        ("\u{15}\u{3}\u{3}\0\u{2}\u{2}\u{28}", .tlsAlert), ("\u{15}\u{3}\u{1}\0\u{2}\u{2}\u{46}", .tlsTooOld),
        ("\u{16}\u{3}\u{3}\0\u{40}\u{2}\0", .tlsClosed), ("", .tlsClosed),
    ])
    func namesWhatAnswersInsteadOfAHandshake(_ text: String, _ failure: AttemptFailure) throws {
        let server = ScriptedServer { peer in
            peer.write(text)
            shutdown(peer.descriptor, Int32(SHUT_WR))
            peer.awaitEnd()
        }
        defer { server.stop() }
        let harness = try harness()
        #expect(try harness.post("https://receiver.example:\(server.port)/").outcome == .failed(failure))
        harness.engine.stop()
    }

    @Test func countsAConnectionAsOpeningUntilItsHandshakeIsOver() throws {
        let server = ScriptedServer { $0.awaitEnd() }
        defer { server.stop() }
        let harness = try Harness()
        let endpoint = try Harness.endpoint("https://127.0.0.1:\(server.port)/")
        harness.engine.submit(
            [
                HTTPRequest(
                    token: 1, affinity: 0, endpoint: endpoint, headerLines: [], body: [], timeoutMilliseconds: 60_000)
            ])
        try harness.wait("it opens") { $0.connectionsOpening == 1 && $0.connectionsOpen == 1 }
        harness.engine.cancelAll()
        try harness.wait("it is gone") { $0.connectionsOpening == 0 && $0.connectionsOpen == 0 }
        harness.engine.stop()
    }

    @Test func timesOutInAHandshakeThatNeverEnds() throws {
        let server = ScriptedServer { $0.awaitEnd() }
        defer { server.stop() }
        let harness = try harness()
        #expect(
            try harness.post("https://receiver.example:\(server.port)/", timeout: 100).outcome == .failed(.tlsTimeout))
        harness.engine.stop()
    }

    @Test func saysWhichAuthoritiesFileIsBad() {
        #expect(throws: HTTPEngineFault.authoritiesFile("/nonexistent.pem")) {
            try Harness { $0.authoritiesFile = "/nonexistent.pem" }
        }
    }
}
