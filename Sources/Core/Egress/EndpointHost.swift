// The host of a subscriber's URL: an address in whatever spelling a resolver somewhere would take for one, or a name.
// Whatever could be read as an address is read as one here, so that no other reader can see a different host.

struct EndpointHost {
    let text: String
    let literal: IPAddress?
    let isAddress: Bool

    init(_ bytes: ArraySlice<UInt8>) throws(EndpointFault) {
        if bytes.first == UInt8(ascii: "[") {
            let inside = bytes.dropFirst().dropLast()
            if inside.contains(UInt8(ascii: "%")) { throw .zoneID }
            guard inside.contains(UInt8(ascii: ":")), let address = IPAddress(text: inside) else { throw .host }
            self.init(address)
            return
        }
        let wasEncoded = bytes.contains(UInt8(ascii: "%"))
        var name = try Self.percentDecoded(bytes).map { (0x41...0x5a).contains($0) ? $0 | 0x20 : $0 }
        if name.last == UInt8(ascii: ".") { name.removeLast() }
        let labels = name.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard let last = labels.last, !last.isEmpty else { throw .host }

        if Self.isNumber(last) {
            guard let v4 = Self.anyNotation(labels) else { throw .numericName }
            self.init(IPAddress(v4: v4))
            return
        }
        // No real name needs encoding; an encoded one only hides what it is.
        if wasEncoded { throw .host }
        try Self.checkName(name, labels)
        let text = String(decoding: name, as: UTF8.self)
        // First, so that `localhost` gets the reason that explains it.
        if Self.isSpecial(text) { throw .specialName }
        if labels.count == 1 { throw .singleLabel }
        self.init(name: text)
    }

    private init(name: String) {
        text = name
        literal = nil
        isAddress = false
    }

    private init(_ address: IPAddress) {
        text = address.description
        literal = address
        isAddress = true
    }

    // MARK: Names

    private static let specialSuffixes = ["localhost", "local", "internal", "home.arpa", "svc", "cluster.local"]

    private static func isSpecial(_ name: String) -> Bool {
        specialSuffixes.contains { name == $0 || name.hasSuffix("." + $0) }
    }

    private static func checkName(_ name: [UInt8], _ labels: [ArraySlice<UInt8>]) throws(EndpointFault) {
        guard name.count <= 253 else { throw .host }
        for label in labels {
            guard (1...63).contains(label.count), label.first != UInt8(ascii: "-"), label.last != UInt8(ascii: "-")
            else { throw .host }
            for byte in label {
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"),
                    UInt8(ascii: "_"):
                    continue
                default: throw .host
                }
            }
        }
    }

    // MARK: Addresses in any notation

    private static func percentDecoded(_ bytes: ArraySlice<UInt8>) throws(EndpointFault) -> [UInt8] {
        var decoded: [UInt8] = []
        var position = bytes.startIndex
        while position < bytes.endIndex {
            if bytes[position] == UInt8(ascii: "%") {
                guard position + 2 < bytes.endIndex, let high = anyCaseHexValue(bytes[position + 1]),
                    let low = anyCaseHexValue(bytes[position + 2])
                else { throw .host }
                decoded.append(high << 4 | low)
                position += 3
            } else {
                decoded.append(bytes[position])
                position += 1
            }
        }
        return decoded
    }

    /// All digits, or 0x and hex digits: what `inet_aton` takes for a number.
    private static func isNumber(_ label: ArraySlice<UInt8>) -> Bool {
        if label.allSatisfy({ (0x30...0x39).contains($0) }) { return true }
        return label.starts(with: "0x".utf8) && label.dropFirst(2).allSatisfy { hexValue($0) != nil }
    }

    /// One to four numbers, each decimal, 0octal or 0xhex; the last fills all bytes that are left.
    private static func anyNotation(_ labels: [ArraySlice<UInt8>]) -> UInt32? {
        guard (1...4).contains(labels.count) else { return nil }
        var numbers: [UInt64] = []
        for label in labels {
            guard let number = number(label) else { return nil }
            numbers.append(number)
        }
        let last = numbers.removeLast()
        guard numbers.allSatisfy({ $0 <= 255 }), last < 1 << UInt64(8 * (4 - numbers.count)) else { return nil }
        var value = last
        for (position, number) in numbers.enumerated() { value |= number << UInt64(24 - 8 * position) }
        return UInt32(value)
    }

    private static func number(_ label: ArraySlice<UInt8>) -> UInt64? {
        guard !label.isEmpty, label.count <= 64, isNumber(label) else { return nil }
        var digits = label
        var radix: UInt64 = 10
        if label.starts(with: "0x".utf8) {
            digits = label.dropFirst(2)
            radix = 16
        } else if label.count > 1, label.first == UInt8(ascii: "0") {
            radix = 8
        }
        var value: UInt64 = 0
        for byte in digits {
            guard let digit = hexValue(byte), UInt64(digit) < radix else { return nil }
            value = value * radix + UInt64(digit)
            guard value <= UInt64(UInt32.max) else { return nil }
        }
        return value
    }
}
