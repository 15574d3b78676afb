// The log: one JSON object a line on stderr, or text for people. Messages are constants, data goes into fields, and
// the fields' names stand in one place. Secrets, payloads and people's addresses have no field.
internal import Glibc
internal import JSON

package enum Log {
    package enum Level: Int, Sendable, CaseIterable { case debug, info, warning, error }
    package enum Format: Sendable { case json, text }

    private struct Settings: Sendable {
        var level = Level.info
        var format = Format.json
    }
    private static let settings = Guarded(Settings())

    package static func configure(level: Level = .info, format: Format) {
        settings.withLock { $0 = Settings(level: level, format: format) }
    }

    /// Whether lines of this level are written; for places where making the fields would cost.
    package static func isEnabled(_ level: Level) -> Bool {
        settings.withLock { level.rawValue >= $0.level.rawValue }
    }

    package static func debug(_ message: StaticString, _ fields: Field...) { write(.debug, message, fields) }
    package static func info(_ message: StaticString, _ fields: Field...) { write(.info, message, fields) }
    package static func info(_ message: StaticString, _ fields: [Field]) { write(.info, message, fields) }
    package static func warning(_ message: StaticString, _ fields: Field...) { write(.warning, message, fields) }
    package static func error(_ message: StaticString, _ fields: Field...) { write(.error, message, fields) }

    /// One named value of a line. Add a name here, never at a call.
    package struct Field: Sendable {
        let name: StaticString
        let value: Value
        enum Value: Sendable {
            case text(String)
            case integer(Int64)
        }

        static func text(_ name: StaticString, _ value: String) -> Field { Field(name: name, value: .text(value)) }
        static func integer(_ name: StaticString, _ value: some BinaryInteger) -> Field {
            Field(name: name, value: .integer(Int64(clamping: value)))
        }

        package static func role(_ value: String) -> Field { text("role", value) }
        package static func topic(_ value: String) -> Field { text("topic", value) }
        package static func partition(_ value: some BinaryInteger) -> Field { integer("partition", value) }
        package static func offset(_ value: some BinaryInteger) -> Field { integer("offset", value) }
        package static func count(_ value: some BinaryInteger) -> Field { integer("count", value) }
        package static func bytes(_ value: some BinaryInteger) -> Field { integer("bytes", value) }
        package static func epoch(_ value: some BinaryInteger) -> Field { integer("epoch", value) }
        package static func milliseconds(_ value: some BinaryInteger) -> Field { integer("milliseconds", value) }
        package static func webhook(_ value: String) -> Field { text("webhook", value) }
        package static func account(_ value: String) -> Field { text("account", value) }
        package static func event(_ value: String) -> Field { text("event", value) }
        package static func eventType(_ value: String) -> Field { text("eventType", value) }
        package static func email(_ value: String) -> Field { text("email", value) }
        package static func delivery(_ value: String) -> Field { text("delivery", value) }
        package static func run(_ value: String) -> Field { text("run", value) }
        package static func command(_ value: String) -> Field { text("command", value) }
        package static func attempt(_ value: some BinaryInteger) -> Field { integer("attempt", value) }
        package static func status(_ value: some BinaryInteger) -> Field { integer("status", value) }
        package static func outcome(_ value: String) -> Field { text("outcome", value) }
        package static func reason(_ value: String) -> Field { text("reason", value) }
        package static func error(_ value: String) -> Field { text("error", value) }
        package static func code(_ value: String) -> Field { text("code", value) }
        package static func address(_ value: String) -> Field { text("address", value) }
        package static func group(_ value: String) -> Field { text("group", value) }
        package static func name(_ value: String) -> Field { text("name", value) }
        package static func path(_ value: String) -> Field { text("path", value) }
        package static func key(_ value: String) -> Field { text("key", value) }
        /// Who asked for a change.
        package static func actor(_ value: String) -> Field { text("actor", value) }
        /// A change's object as it was and as it is, without secrets: `name=value`, separated by blanks.
        package static func before(_ value: String) -> Field { text("before", value) }
        package static func after(_ value: String) -> Field { text("after", value) }
        package static func method(_ value: String) -> Field { text("method", String(value.prefix(16))) }
        package static func fix(_ value: String) -> Field { text("fix", value) }
    }

    private static func write(_ level: Level, _ message: StaticString, _ fields: [Field]) {
        let current = settings.withLock { $0 }
        guard level.rawValue >= current.level.rawValue else { return }
        let line = current.format == .json ? jsonLine(level, message, fields) : textLine(level, message, fields)
        // One write per line, so that lines of several threads and processes do not mix.
        _ = line.withUnsafeBytes { Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }

    private static func jsonLine(_ level: Level, _ message: StaticString, _ fields: [Field]) -> [UInt8] {
        var line = JSONWriter.document { writer in
            writer.field("time", timeNow())
            writer.field("level", "\(level)")
            writer.field("message", message.description)
            for field in fields {
                switch field.value {
                case .text(let value): writer.field(field.name, value)
                case .integer(let value): writer.field(field.name, value)
                }
            }
        }
        line.append(UInt8(ascii: "\n"))
        return line
    }

    private static func textLine(_ level: Level, _ message: StaticString, _ fields: [Field]) -> [UInt8] {
        var line = "\(timeNow()) \(level) \(message)"
        for field in fields {
            switch field.value {
            case .text(let value):
                let printable = String(
                    String.UnicodeScalarView(value.unicodeScalars.map { $0.value < 0x20 ? " " : $0 }))
                line += " \(field.name)=\(printable)"
            case .integer(let value): line += " \(field.name)=\(value)"
            }
        }
        return Array(line.utf8) + [UInt8(ascii: "\n")]
    }

    private static func timeNow() -> String {
        let now = Clock.wallMilliseconds()
        var seconds = time_t(now / 1000)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        func two(_ value: Int32) -> String { value < 10 ? "0\(value)" : "\(value)" }
        let fraction = String(1000 + now % 1000).dropFirst()
        return
            "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))T\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)).\(fraction)Z"
    }
}
