// The plans in force, shared between the thread that loads mapping files and those that translate.
package import Mapping
internal import Runtime
internal import Synchronization

/// Any thread. A translator looks at ``version`` between two rounds and takes the new plans when it has grown, so that no
/// record is mapped by half of one set and half of another.
package final class MappingPlans: Sendable {
    private let plans: Guarded<[MappingPlan]>
    private let changes = Atomic<Int>(1)

    package init(_ plans: [MappingPlan]) { self.plans = Guarded(plans) }

    package var version: Int { changes.load(ordering: .acquiring) }
    package var current: [MappingPlan] { plans.withLock { $0 } }
    package var topics: [String] { current.map(\.topic) }

    package func replace(with new: [MappingPlan]) {
        plans.withLock { $0 = new }
        changes.add(1, ordering: .releasing)
    }
}
