// Clients for threads that live as long as the process.
internal import Runtime

/// Makes a client, and tries again each second where that fails: the configuration has made clients before, so what is
/// missing are descriptors or threads, and those come back. A thread that ended without a word would be missed by nobody
/// until people wait for it in vain.
/// - Parameters:
///   - purpose: what stands still meanwhile, for the log.
///   - isStopping: asked several times a second.
/// - Returns: nil only when stopping.
package func persistently<Client>(
    _ purpose: String, unless isStopping: () -> Bool, make: () throws(KafkaError) -> Client
) -> Client? {
    let pause = EventFD()
    var hasComplained = false
    while !isStopping() {
        do throws(KafkaError) { return try make() } catch {
            if !hasComplained {
                Log.error(
                    "a Kafka client cannot be made", .name(purpose), .error(error.description),
                    .fix("raise the limits of open files and threads; it is tried again each second"))
            }
            hasComplained = true
        }
        for _ in 0..<10 where !isStopping() { pause.wait(milliseconds: 100) }
    }
    return nil
}
