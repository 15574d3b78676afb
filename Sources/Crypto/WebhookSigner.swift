// The signature headers of an attempt, with one secret or, while it is rotated, with two.

/// The signing secrets of one webhook, keyed and ready. One owner; not thread-safe.
package final class WebhookSigner {
    private let secrets: [(secret: WebhookSecret, expiresAt: Int64)]

    /// - Parameter secrets: the current one first; at least one. `expiresAt` is in milliseconds since 1970, nil for the
    ///   current one: from then on the secret signs nothing.
    package init(_ secrets: [(secret: WebhookSecret, expiresAt: Int64?)]) {
        precondition(!secrets.isEmpty, "a webhook has a secret")
        self.secrets = secrets.map { ($0.secret, $0.expiresAt ?? .max) }
    }

    /// Appends `X-Learnault-Signature`, `webhook-id`, `webhook-timestamp` and `webhook-signature` (contract §1), each ended
    /// by CRLF. While a secret is rotated the old one signs the first of them until its overlap ends, and the last has
    /// both, the new one first.
    /// - Parameters:
    ///   - now: milliseconds since 1970, of this attempt.
    ///   - appendID: appends the event's id.
    package func appendLines(
        to lines: inout [UInt8], body: [UInt8], now: Int64, appendID: (inout [UInt8]) -> Void
    ) {
        let oldest = secrets.last { now < $0.expiresAt } ?? secrets[0]
        lines.append("X-Learnault-Signature: ")
        oldest.secret.signBody(body) { code in
            for byte in code {
                lines.append(hexDigits.utf8Start[Int(byte >> 4)])
                lines.append(hexDigits.utf8Start[Int(byte & 15)])
            }
        }
        lines.append("\r\nwebhook-id: ")
        let idStart = lines.count
        appendID(&lines)
        let idEnd = lines.count
        lines.append("\r\nwebhook-timestamp: ")
        let timeStart = lines.count
        lines.append(decimal: Int(now / 1000))
        let timeEnd = lines.count
        lines.append("\r\nwebhook-signature: ")
        var isFirst = true
        for (position, entry) in secrets.enumerated() {
            // An expired one signs only where there is no other.
            guard now < entry.expiresAt || position == 0 && oldest.secret === entry.secret else { continue }
            if !isFirst { lines.append(UInt8(ascii: " ")) }
            isFirst = false
            let signer = entry.secret.standard
            signer.begin()
            // Both are in the lines already; only the dots are not.
            lines.withUnsafeBytes { lines in
                signer.add(UnsafeRawBufferPointer(rebasing: lines[idStart..<idEnd]))
                signer.addDot()
                signer.add(UnsafeRawBufferPointer(rebasing: lines[timeStart..<timeEnd]))
                signer.addDot()
            }
            body.withUnsafeBytes { signer.add($0) }
            lines.append("v1,")
            signer.finish { lines.append(base64: $0) }
        }
        lines.append("\r\n")
    }
}

private let hexDigits: StaticString = "0123456789abcdef"
private let base64Digits: StaticString = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
private let dot: StaticString = "."

extension HMACSigner {
    fileprivate func addDot() { add(UnsafeRawBufferPointer(start: dot.utf8Start, count: 1)) }
}

/// Bytes of a request's head, appended without a `String` or an array in between.
extension [UInt8] {
    package mutating func append(_ text: StaticString) {
        append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// - Parameter number: not negative.
    package mutating func append(decimal number: Int) {
        var divisor = 1
        while number / divisor >= 10 { divisor *= 10 }
        while divisor > 0 {
            append(0x30 + UInt8(number / divisor % 10))
            divisor /= 10
        }
    }

    fileprivate mutating func append(base64 bytes: UnsafeRawBufferPointer) {
        var position = 0
        while position < bytes.count {
            let left = bytes.count - position
            let group =
                UInt32(bytes[position]) << 16 | (left > 1 ? UInt32(bytes[position + 1]) << 8 : 0)
                | (left > 2 ? UInt32(bytes[position + 2]) : 0)
            for place in 0..<4 {
                append(
                    place <= left
                        ? base64Digits.utf8Start[Int(group >> UInt32(18 - 6 * place) & 63)] : UInt8(ascii: "="))
            }
            position += 3
        }
    }
}
