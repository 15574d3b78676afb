// What a person reads, on stdout and stderr, unbuffered, so that a pipe's reader sees it at once.
internal import Glibc

enum Terminal {
    static func print(_ text: String, terminator: String = "\n") { write(text + terminator, STDOUT_FILENO) }
    static func error(_ text: String, terminator: String = "\n") { write(text + terminator, STDERR_FILENO) }

    /// Bytes as they are, on stdout.
    static func write(_ bytes: UnsafeRawBufferPointer) { write(bytes, STDOUT_FILENO) }

    /// How many columns stdout has; nil when it is no terminal.
    static var columns: Int? {
        var size = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return nil }
        return Int(size.ws_col)
    }

    private static func write(_ text: String, _ descriptor: Int32) {
        Array(text.utf8).withUnsafeBytes { write($0, descriptor) }
    }

    private static func write(_ bytes: UnsafeRawBufferPointer, _ descriptor: Int32) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = Glibc.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
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
