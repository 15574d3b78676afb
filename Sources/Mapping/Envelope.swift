// The envelopes a domain record may come in.

/// The raw value is the name in a mapping file.
package enum Envelope: String, Sendable, CaseIterable {
    /// Any JSON object; the mapping file says where its attributes stand.
    case plain
    /// CloudEvents 1.0 in Kafka's structured or binary mode.
    case cloudEvents = "cloudevents"
    /// Confluent's frame, a zero byte and a schema id of four bytes, around one of the others.
    case confluentJSON = "confluent-json"
    /// What Debezium makes of an outbox table, through its event router or as a change event of the table.
    case debeziumOutbox = "debezium-outbox"
}

/// The envelopes that a mapping reads; asked for each record.
struct EnvelopeSet: OptionSet, Sendable {
    let rawValue: UInt8

    static let plain = EnvelopeSet(rawValue: 1)
    static let cloudEvents = EnvelopeSet(rawValue: 2)
    static let confluentJSON = EnvelopeSet(rawValue: 4)
    static let debeziumOutbox = EnvelopeSet(rawValue: 8)

    /// Those that show in the record itself which they are: what a mapping file without `envelope` reads.
    static let selfDescribing: EnvelopeSet = [.plain, .cloudEvents, .confluentJSON]

    init(rawValue: UInt8) { self.rawValue = rawValue }

    init(_ envelope: Envelope) {
        self =
            switch envelope {
            case .plain: .plain
            case .cloudEvents: .cloudEvents
            case .confluentJSON: .confluentJSON
            case .debeziumOutbox: .debeziumOutbox
            }
    }
}
