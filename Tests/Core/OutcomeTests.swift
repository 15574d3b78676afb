// What every outcome means to the log, the metrics, the lane and the circuit.
import Core
import Testing

@Suite struct OutcomeTests {
    @Test func everyFailureHasItsOwnTextAndLabel() {
        let failures = AttemptFailure.allCases
        #expect(Set(failures.map(\.text)).count == failures.count)
        for failure in failures {
            #expect(failure.rawValue.allSatisfy { $0.isLowercase || $0 == "_" || $0.isNumber }, "\(failure)")
            // Texts are fixed; none can carry an address or a name.
            #expect(
                !failure.text.contains { $0.isNumber } || failure.text.contains("TLS 1.2")
                    || failure.text.contains("HTTP/1.1"))
        }
    }

    @Test(arguments: [
        (200, Outcome.Ending.success, false), (204, .success, false), (299, .success, false), (302, .failure, true),
        (304, .failure, true), (400, .failure, true), (404, .failure, true), (408, .overload, true),
        (410, .failure, true), (429, .overload, true), (500, .overload, true), (503, .overload, true),
        (599, .overload, true),
    ])
    func judgesStatuses(_ status: Int, _ ending: Outcome.Ending, _ counts: Bool) {
        let outcome = Outcome.answered(status: status)
        #expect(outcome.ending == ending && outcome.countsForCircuit == counts)
        #expect(outcome.isSuccess == (ending == .success) && (outcome.errorText == nil) == outcome.isSuccess)
        #expect(outcome.metricLabel == "http_\(status / 100)xx")
    }

    @Test func onlyTimeoutsOfTheReceiverSpeakOfItsLoad() {
        let overloads = AttemptFailure.allCases.filter { Outcome.failed($0).ending == .overload }
        #expect(Set(overloads) == [.connectTimeout, .tlsTimeout, .responseTimeout])
        #expect(AttemptFailure.allCases.allSatisfy { Outcome.failed($0).ending != .success })
    }

    @Test func whatWasNeverSentDoesNotOpenTheCircuit() {
        let silent = AttemptFailure.allCases.filter { !Outcome.failed($0).countsForCircuit }
        #expect(Set(silent) == [.addressDenied, .endpointInvalid, .secretUnavailable])
    }
}
