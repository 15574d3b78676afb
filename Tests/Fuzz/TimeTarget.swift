// Fuzzes the reading of times: what is read is written, and read and written the same again; nothing traps.
import Core

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzTime(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = UnsafeRawBufferPointer(start: start, count: count)
    // The first eight bytes as any point in time at all: writing must not trap either.
    if count >= 8 { _ = Timestamp(milliseconds: bytes.loadUnaligned(as: Int64.self)).description }
    guard let time = Timestamp(rfc3339: bytes) else { return 0 }
    precondition((-62_167_305_600_000...253_402_387_200_000).contains(time.milliseconds), "a time that no text names")
    // An offset can name a moment of the year before 0 or after 9999, which has no text; it is written as the nearest.
    guard (-62_167_219_200_000...253_402_300_799_999).contains(time.milliseconds) else { return 0 }
    precondition(Timestamp(rfc3339: time.description) == time, "written with milliseconds and read as another time")
    precondition(
        Timestamp(rfc3339: time.secondsText)?.secondsText == time.secondsText, "written with seconds, not stable")
    return 0
}
