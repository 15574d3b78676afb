import Core
import Testing

@Suite struct TimestampTests {
    @Test(arguments: [
        ("2024-01-15T10:30:00Z", "2024-01-15T10:30:00.000Z"), ("2024-01-15T10:30:05.120Z", "2024-01-15T10:30:05.120Z"),
        ("2024-01-15T12:15:00+03:00", "2024-01-15T09:15:00.000Z"),
        ("2024-02-29T23:59:59.9999-00:30", "2024-03-01T00:29:59.999Z"),
        ("1969-12-31T23:59:59.5z", "1969-12-31T23:59:59.500Z"), ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"),
        ("9999-12-31t23:59:59Z", "9999-12-31T23:59:59.000Z"), ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000Z"),
    ])
    func readsAnyOffsetAndWritesUTC(text: String, utc: String) { #expect(Timestamp(rfc3339: text)?.description == utc) }

    @Test(arguments: [
        "", "2024-01-15", "2024-01-15T10:30:00", "2024-13-01T00:00:00Z", "2023-02-29T00:00:00Z", "2024-01-15T24:00:00Z",
        "2024-01-15T10:60:00Z", "2024-01-15T10:30:00.Z", "2024-01-15T10:30:00+3:00", "2024-01-15T10:30:00Zx",
        "2024-1-15T10:30:00Z",
        "+024-01-15T10:30:00Z", "2024-00-15T10:30:00Z", "2024-01-00T10:30:00Z",
    ])
    func otherTextsAreNoTimes(text: String) { #expect(Timestamp(rfc3339: text) == nil) }

    @Test func everyDayOfFourCenturiesRoundTrips() {
        var day = Int64(-135_140) * 86_400_000
        while day < 20_000 * 86_400_000 {
            let time = Timestamp(milliseconds: day + 45_296_789)
            #expect(Timestamp(rfc3339: time.description) == time)
            day += 86_400_000 * 17
        }
    }
}
