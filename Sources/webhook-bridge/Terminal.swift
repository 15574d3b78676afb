// What a person reads, on stdout and stderr, unbuffered, so that a pipe's reader sees it at once.
internal import Glibc

enum Terminal {
    static func print(_ text: String, terminator: String = "\n") { write(text + terminator, STDOUT_FILENO) }
    static func error(_ text: String, terminator: String = "\n") { write(text + terminator, STDERR_FILENO) }

    private static func write(_ text: String, _ descriptor: Int32) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }

    static var standardInput: [UInt8] {
        var input: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = read(STDIN_FILENO, &chunk, chunk.count)
            guard count > 0 else { return input }
            input += chunk[..<count]
        }
    }
}
