// Holds parser and writer to JavaScript's judgement: what the bridge writes must be, byte for byte, what
// `JSON.stringify(JSON.parse(text))` gives, since receivers verify signatures over exactly that.
import Foundation
import JSON
import Testing

@Suite struct NodeTests {
    /// Reads lines of `source written` in base64, or `source !cause` for a refused text; prints its findings at the end.
    private static let script = #"""
        'use strict';
        const departures = new Set(process.argv[1].split(','));
        const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
        const token = /"(?:[^"\\]|\\[^])*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
        const faults = [];
        let count = 0, refused = 0, departed = 0;
        // An integer that JavaScript would round stands as a string in what is written.
        const exact = (text) => text.replace(token, (t) =>
          /^-?\d+$/.test(t) && !Number.isSafeInteger(Number(t)) ? `"${t}"` : t);
        const understood = (source) => {
          try { return JSON.stringify(JSON.parse(exact(utf8.decode(source)))); } catch { return undefined; }
        };
        function check(line) {
          const [sourceText, writtenText] = line.split(' ');
          const source = Buffer.from(sourceText, 'base64');
          const expected = understood(source);
          count++;
          if (writtenText.startsWith('!')) {
            refused++;
            const known = departures.has(writtenText.slice(1));
            if (expected !== undefined && known) departed++;
            if (expected !== undefined && !known) faults.push(`${sourceText}: refused: ${writtenText}`);
            return;
          }
          let written, again;
          try {
            written = utf8.decode(Buffer.from(writtenText, 'base64'));
            again = JSON.stringify(JSON.parse(written));
          } catch (error) { faults.push(`${sourceText}: ${error}`); return; }
          if (again !== written) faults.push(`${sourceText}: no fixed point: ${written}`);
          else if (expected !== written) faults.push(`${sourceText}: expected ${expected}, written ${written}`);
        }
        require('readline').createInterface({ input: process.stdin, crlfDelay: Infinity })
          .on('line', check)
          .on('close', () => console.log(JSON.stringify({ count, refused, departed, faults: faults.slice(0, 5) })));
        """#

    private struct Findings: Decodable {
        let count: Int
        let refused: Int
        let departed: Int
        let faults: [String]
    }

    /// Where the bridge refuses what JavaScript would read; every other refusal must be JavaScript's too.
    private static let departures: [JSONError.Cause] = [
        .integerBeyond64Bits, .numberBeyondDouble, .loneSurrogate, .keyTwice, .tooDeep, .byteOrderMark,
    ]

    private static func judge(_ documents: (_ send: ([UInt8]) throws -> Void) throws -> Void) throws -> Findings {
        signal(SIGPIPE, SIG_IGN)
        let node = Process()
        let input = Pipe()
        let output = Pipe()
        node.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        node.arguments = ["node", "-e", script, departures.map { String(describing: $0) }.joined(separator: ",")]
        node.standardInput = input
        node.standardOutput = output
        try node.run()
        let parser = JSONParser()
        var writer = JSONWriter()
        var lines: [UInt8] = []
        func flush() throws {
            try input.fileHandleForWriting.write(contentsOf: Data(lines))
            lines.removeAll(keepingCapacity: true)
        }
        try documents { document in
            lines.append(contentsOf: Data(document).base64EncodedData())
            lines.append(UInt8(ascii: " "))
            writer.reset()
            do {
                try parser.parse(document) { writer.value($0) }
                lines.append(contentsOf: Data(writer.bytes).base64EncodedData())
            } catch let error as JSONError {
                lines.append(contentsOf: "!\(error.cause)".utf8)
            }
            lines.append(UInt8(ascii: "\n"))
            if lines.count > 1 << 16 { try flush() }
        }
        try flush()
        try input.fileHandleForWriting.close()
        let printed = try output.fileHandleForReading.readToEnd() ?? Data()
        node.waitUntilExit()
        try #require(node.terminationStatus == 0, "node is needed; ./dev test installs it")
        return try JSONDecoder().decode(Findings.self, from: printed)
    }

    @Test func corpusIsWrittenAsJavaScriptWould() throws {
        let corpus = acceptedCases + refusedCases + openCases
        let findings = try Self.judge { send in try corpus.forEach { try send($0.text) } }
        #expect(findings.count == corpus.count)
        #expect(findings.faults == [])
    }

    /// `JSON_NODE_DOCUMENTS` sets how many; a million take some minutes.
    @Test func randomDocumentsAreWrittenAsJavaScriptWould() throws {
        let wanted = ProcessInfo.processInfo.environment["JSON_NODE_DOCUMENTS"].flatMap { Int($0) } ?? 10_000
        var random = RandomDocument(seed: 0x4C65_6172_6E61_756C)
        let findings = try Self.judge { send in
            for number in 0..<wanted { try send(number % 4 == 3 ? random.nextDamaged() : random.next()) }
        }
        #expect(findings.count == wanted)
        #expect(findings.faults == [])
        // The valid three quarters were read, and of the damaged ones both kinds were there.
        #expect(findings.refused > wanted / 8 && findings.refused < wanted / 4)
        #expect(findings.departed > 0)
        if wanted > 10_000 { print("node:", findings) }
    }
}
