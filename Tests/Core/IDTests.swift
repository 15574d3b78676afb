import Core
import Testing

@Suite struct IDTests {
    /// Eight digits are read at once: whatever stands at any place must count.
    @Test func everyByteAtEveryPlaceIsJudged() {
        let text = Array("evt_0123456789abcdef00ff9a5c".utf8)
        for position in 4..<text.count {
            for byte in UInt8.min...UInt8.max {
                var changed = text
                changed[position] = byte
                let id = changed.withUnsafeBytes { EventID($0) }
                let isDigit = (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte)
                #expect((id != nil) == isDigit, "byte \(byte) at \(position)")
                if let id { #expect(Array(id.description.utf8) == changed) }
            }
        }
    }

    @Test func textFormsRoundTrip() {
        let id = WebhookID(bytes: (0..<12).map { UInt8($0 * 20) })
        #expect(id.description == "wh_0014283c5064788ca0b4c8dc")
        #expect(WebhookID(id.description) == id)
        #expect(id.description.utf8.count == WebhookID.textLength)
    }

    @Test(arguments: [
        "", "wh_", "wh_0014283c5064788ca0b4c8d", "wh_0014283c5064788ca0b4c8dcc", "wh_0014283C5064788ca0b4c8dc",
        "xx_0014283c5064788ca0b4c8dc", "acct_0014283c5064788ca0b4c8dc", "wh_0014283g5064788ca0b4c8dc",
    ])
    func otherTextsAreNoIDs(text: String) { #expect(WebhookID(text) == nil) }

    /// Values computed with Kafka's Java client's Utils.murmur2.
    @Test(
        arguments: [
            ("21", -973_932_308), ("foobar", -790_332_482), ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971), ("abc", 479_470_107),
        ] as [(String, Int32)])
    func murmur2AgreesWithKafka(text: String, hash: Int32) {
        #expect(Array(text.utf8).withUnsafeBytes { Murmur2.hash($0) } == hash)
    }
}
