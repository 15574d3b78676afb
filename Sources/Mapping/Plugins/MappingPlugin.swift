// What a mapping file cannot say is said in Swift: a plugin writes the payloads of one domain event type. The envelope,
// the audience, ids and times stay the file's and the mapper's business.
package import JSON

/// How a plugin hands over one webhook event: its type, and a closure that writes the members of `data`.
package typealias EventEmitter = (
    _ webhookType: String, _ members: (inout JSONWriter) throws(MappingFailure) -> Void
) throws(MappingFailure) -> Void

/// Conform a type, add it to ``MappingPlugins/all``, and name it in a mapping file:
/// `events: { ModuleBatchGraded: { plugin: "graded-batch" } }`.
package protocol MappingPlugin: Sendable {
    /// The name mapping files use.
    var name: String { get }
    /// The documented types it emits.
    var webhookTypes: [String] { get }

    /// Calls `emit` once for each webhook event, always in the same order for the same record: an event's id depends on
    /// its place.
    /// - Throws: ``MappingFailure`` that names the field, what was expected and what kind of value came, never the value;
    ///   the record becomes a dead letter and none of its events is sent.
    func map(_ record: OpenedRecord, emit: EventEmitter) throws(MappingFailure)
}

/// The one place where plugins are registered.
enum MappingPlugins {
    static let all: [any MappingPlugin] = [GradedBatch()]
}
