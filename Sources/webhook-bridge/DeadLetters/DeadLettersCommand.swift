// `dead-letters list` and `dead-letters show`: what could not be mapped or delivered, and why.
internal import Configuration
internal import Core
internal import Kafka
internal import Repair
internal import Runtime

enum DeadLettersCommand {
    static func list(_ options: DeadLetterListOptions) throws(Exit) {
        let office = try DeadLetterOffice(options.configuration, needs: .cluster)
        var found = NewestDeadLetters(limit: options.limit)
        try office.read(options.filter) { letter in found.add(DeadLetterSummary(letter)) }
        let shown = found.newest
        if options.asJSON {
            for letter in shown { Terminal.print(LetterText.json(letter)) }
            return
        }
        for line in LetterText.table(shown, width: Terminal.columns) { Terminal.print(line) }
        Terminal.print(LetterText.totals(found, shown: shown.count))
    }

    static func show(_ options: DeadLetterShowOptions) throws(Exit) {
        let office = try DeadLetterOffice(options.configuration, needs: .cluster)
        try office.read([options.position]) { letter in
            if !options.valueOnly {
                for line in LetterText.head(letter) { Terminal.print(line) }
                Terminal.print("")
            }
            guard let value = letter.value else { return Terminal.error("the letter has no value") }
            Terminal.write(value)
            if !options.valueOnly, value.last != UInt8(ascii: "\n") { Terminal.print("") }
        }
    }
}

/// The letters of one cluster, for the length of one command.
struct DeadLetterOffice {
    let loaded: LoadedConfiguration
    let topics: Topics
    /// The cluster's topics and how many partitions each has.
    let partitions: [String: Int]
    private let reader: LetterReader
    private let now = Timestamp(milliseconds: Clock.wallMilliseconds())
    private static let brokerMilliseconds = 10_000

    init(_ options: ConfigurationOptions, needs: ConfigurationRequest.Needs) throws(Exit) {
        loaded = try LoadedConfiguration.load(options, needs: needs)
        topics = Topics(prefix: loaded.settings.topics.prefix, shards: loaded.settings.topics.partitions)
        let admin: KafkaAdmin
        do throws(KafkaError) { admin = try KafkaAdmin(loaded.kafka) } catch { throw .configuration(error.text) }
        do throws(KafkaError) {
            partitions = try admin.describe(timeoutMilliseconds: Self.brokerMilliseconds).partitions
        } catch {
            throw .failure("no broker answers at \(loaded.kafka.bootstrapServers): \(error.text)")
        }
        guard let count = partitions[topics.deadLetters] else {
            throw .configuration(
                "topic \(topics.deadLetters) is missing: make it with `webhook-bridge topics create`, or correct topics.prefix"
            )
        }
        do throws(LetterReadingFailure) {
            reader = try LetterReader(loaded.kafka, topic: topics.deadLetters, partitions: count)
        } catch {
            throw Self.exit(error)
        }
    }

    /// Every letter there was at the start that the filter lets through.
    func read(_ filter: DeadLetterFilter, _ body: (borrowing KafkaMessage) -> Void) throws(Exit) {
        let age = filter.since.map { now.milliseconds - $0.start(now: now).milliseconds }
        do throws(LetterReadingFailure) {
            try reader.read(age: age) { letter in
                if filter.matches(DeadLetterSummary(letter), now: now) { body(letter) }
            }
        } catch {
            throw Self.exit(error)
        }
    }

    func read(_ positions: [DeadLetterPosition], _ body: (borrowing KafkaMessage) -> Void) throws(Exit) {
        do throws(LetterReadingFailure) { try reader.read(positions, body) } catch { throw Self.exit(error) }
    }

    private static func exit(_ failure: LetterReadingFailure) -> Exit {
        failure.isConfiguration ? .configuration(failure.description) : .failure(failure.description)
    }
}
