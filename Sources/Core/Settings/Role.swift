// What one process of the bridge can do; each role is a stage, or the API's listener.

package enum Role: String, CaseIterable, Sendable {
    case translate, deliver, retry, registry, api, mail

    /// The roles of a process that names none (contract §4): all, `mail` only when there is something to send mail with.
    package static func defaults(mailIsConfigured: Bool) -> [Role] {
        allCases.filter { $0 != .mail || mailIsConfigured }
    }
}
