// Memory that a burst has left behind.
internal import CLinux

package enum FreeMemory {
    /// Gives memory that is allocated no more back to the system. Loading 100,000 webhooks leaves the heap of librdkafka's threads
    /// full of holes, which the allocator would keep for good. Takes some milliseconds.
    package static func giveBack() { malloc_trim(0) }
}
