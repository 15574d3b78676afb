// What an email address may be: one rule for those who write one down, the command line and the configuration, and for the role
// that sends to it. An account whose address only the first took would get none of its mails.

package enum MailAddress {
    /// What an address is taken for, in an error about one that is none.
    package static let expectation = "one like ops@example.com, without a name, brackets, quotes or separators"

    /// One `@` with something on both sides, at most 320 bytes, and nothing that has a meaning in a header or an SMTP
    /// command: no space, control, bracket, quote or separator. Quoted local parts are not taken.
    package static func isOne(_ text: String) -> Bool {
        let parts = text.split(separator: "@", omittingEmptySubsequences: false)
        return parts.count == 2 && parts.allSatisfy { !$0.isEmpty } && text.utf8.count <= 320
            && text.unicodeScalars.allSatisfy { scalar in
                scalar.value > 0x20 && !(0x7F...0xA0).contains(scalar.value) && !scalar.properties.isWhitespace
                    && !"<>()[]\\,;:\"".unicodeScalars.contains(scalar)
            }
    }
}
