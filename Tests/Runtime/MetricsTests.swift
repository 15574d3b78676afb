// What the metrics say, letter by letter; that a real parser takes it is for the system tests.
import Runtime
import Testing

@Suite struct MetricsTests {
    let registry = MetricsRegistry()

    @Test func countersAndGaugesByLabels() {
        let good = registry.counter("tries_total", "Tries.", ["outcome": "good"])
        let bad = registry.counter("tries_total", "Tries.", ["outcome": "bad"])
        good.add()
        good.add(2)
        bad.add()
        registry.counter("tries_total", "Tries.", ["outcome": "bad"]).add()
        registry.gauge("depth", "How deep.").set(-7)
        #expect(
            registry.text == """
                # HELP webhook_bridge_depth How deep.
                # TYPE webhook_bridge_depth gauge
                webhook_bridge_depth -7
                # HELP webhook_bridge_tries_total Tries.
                # TYPE webhook_bridge_tries_total counter
                webhook_bridge_tries_total{outcome="bad"} 2
                webhook_bridge_tries_total{outcome="good"} 3

                """)
    }

    @Test func aBoundBelongsToItsBucket() {
        let histogram = registry.histogram("took_seconds", "Time.", microseconds: [1000, 2_500_000])
        for microseconds in [0, 1000, 1001, 2_500_000, 2_500_001] { histogram.observe(microseconds: microseconds) }
        #expect(
            registry.text == """
                # HELP webhook_bridge_took_seconds Time.
                # TYPE webhook_bridge_took_seconds histogram
                webhook_bridge_took_seconds_bucket{le="0.001"} 2
                webhook_bridge_took_seconds_bucket{le="2.5"} 4
                webhook_bridge_took_seconds_bucket{le="+Inf"} 5
                webhook_bridge_took_seconds_sum 5.002002
                webhook_bridge_took_seconds_count 5

                """)
    }

    @Test func escapesHelpAndLabels() {
        registry.gauge("odd", "a \\ \"b\"\nc", ["name": "a \\ \"b\"\nc"]).set(1)
        #expect(
            registry.text == """
                # HELP webhook_bridge_odd a \\\\ "b"\\nc
                # TYPE webhook_bridge_odd gauge
                webhook_bridge_odd{name="a \\\\ \\"b\\"\\nc"} 1

                """)
    }

    @Test func collectorsAreAskedUntilTheyGo() {
        let write: @Sendable (inout MetricsPage) -> Void = { page in
            page.gauge("process_seconds", "Seconds.", 1.5)
            page.gauges("none", "Nothing now.")
        }
        let first = registry.collect(write)
        var second: MetricsCollection? = registry.collect(write)
        let named = """
            # HELP webhook_bridge_none Nothing now.
            # TYPE webhook_bridge_none gauge
            # HELP process_seconds Seconds.
            # TYPE process_seconds gauge

            """
        #expect(second != nil && registry.text == named + "process_seconds 3\n", "two owners are added up")
        second = nil
        #expect(registry.text == named + "process_seconds 1.5\n")
        first.cancel()
        #expect(registry.text == "")
    }
}
