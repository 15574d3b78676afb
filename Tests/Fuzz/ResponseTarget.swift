// libFuzzer on the response reader: whatever a receiver sends, and however the network cuts it, the verdict is the same,
// and nothing kept is larger than its bound. The first byte of an input says how the rest is cut.
import HTTPEngine

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzResponse(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    guard count > 1 else { return 0 }
    let answer = UnsafeRawBufferPointer(start: start + 1, count: count - 1)
    let whole = read(answer, cut: .max)
    let cut = read(answer, cut: Int(start[0] & 0x3f) + 1)

    precondition(whole.verdict == cut.verdict, "the verdict depends on how the answer is cut")
    precondition(whole.reader.status == cut.reader.status, "the status depends on how the answer is cut")
    precondition(whole.reader.keptHead == cut.reader.keptHead, "the kept head depends on how the answer is cut")
    precondition(whole.reader.keptBody == cut.reader.keptBody, "the kept body depends on how the answer is cut")
    for reader in [whole.reader, cut.reader] {
        precondition(reader.keptHead.count <= ResponseReader.keptHeadBytes, "more of the head is kept than allowed")
        precondition(reader.keptBody.count <= ResponseReader.keptBodyBytes, "more of the body is kept than allowed")
        if let status = reader.status { precondition((200...599).contains(status), "no final status") }
        if let wait = reader.retryAfter?.seconds(atWallMilliseconds: 1_700_000_000_000) {
            precondition((0...31 * 86_400).contains(wait), "a wait beyond what is believed")
        }
    }
    switch whole.verdict {
    case .complete: precondition(whole.reader.status != nil, "complete without a status")
    case .failed: precondition(!whole.reader.isReusable && whole.reader.status == nil, "a status was undone")
    case .more: preconditionFailure("the end of the connection ends the answer")
    }
    return 0
}

private func read(_ answer: UnsafeRawBufferPointer, cut: Int) -> (
    reader: ResponseReader, verdict: ResponseReader.Verdict
) {
    var reader = ResponseReader()
    var position = 0
    while position < answer.count {
        let end = position + min(cut, answer.count - position)
        let verdict = reader.receive(UnsafeRawBufferPointer(rebasing: answer[position..<end]))
        if verdict != .more { return (reader, verdict) }
        position = end
    }
    return (reader, reader.end())
}
