// The version of the program, in one place.

package enum Version {
    package static let number = "0.1.0"
    /// What `--version` prints.
    package static let text = "webhook-bridge \(number)\n"
}
