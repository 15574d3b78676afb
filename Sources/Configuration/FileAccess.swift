// The few questions the loader asks the file system, with answers that can be shown to people.
internal import Glibc

struct FileError: Error {
    /// `no such file or directory` …
    var message: String
    init(code: Int32) { message = String(cString: strerror(code)).lowercased() }
    init(_ message: String) { self.message = message }
}

enum FileAccess {
    struct Content {
        var bytes: [UInt8]
        /// The permission bits.
        var mode: UInt32
    }

    /// The whole of a file, or of what a pipe brings (`--config <(…)`), which must not be longer than `limitBytes`.
    static func read(_ path: String, limitBytes: Int) throws(FileError) -> Content {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileError(code: errno) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw FileError(code: errno) }
        guard status.st_mode & S_IFMT != S_IFDIR else { throw FileError("it is a folder") }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65536)
        while bytes.count <= limitBytes {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw FileError(code: errno) }
            if count == 0 { return Content(bytes: bytes, mode: status.st_mode & 0o7777) }
            bytes.append(contentsOf: chunk[..<count])
        }
        throw FileError("it is longer than \(limitBytes) bytes")
    }

    static func isFolder(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    /// Throws when the folder cannot be listed.
    static func checkReadableFolder(_ path: String) throws(FileError) {
        guard let folder = opendir(path) else { throw FileError(code: errno) }
        closedir(folder)
    }

    /// Throws when a folder can neither be written to nor be made here.
    static func checkWritableFolder(_ path: String) throws(FileError) {
        var place = path
        while true {
            var status = stat()
            if stat(place, &status) == 0 {
                guard status.st_mode & S_IFMT == S_IFDIR else { throw FileError("\(place) is not a folder") }
                guard access(place, W_OK | X_OK) == 0 else { throw FileError("\(place) cannot be written to") }
                return
            }
            guard errno == ENOENT else { throw FileError(code: errno) }
            let parent = self.folder(of: place)
            guard parent != place else { throw FileError("\(place) does not exist") }
            place = parent
        }
    }

    /// The folder a path is in: `.` for a bare name.
    static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// A path as seen from a folder; an absolute one stays.
    static func resolve(_ path: String, in folder: String) -> String {
        path.hasPrefix("/") || folder == "." || folder.isEmpty
            ? path : folder.hasSuffix("/") ? folder + path : folder + "/" + path
    }

    /// The running program's own path.
    static var program: String? {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = buffer.withUnsafeMutableBytes { readlink("/proc/self/exe", $0.baseAddress!, $0.count) }
        return count > 0 ? String(decoding: buffer[..<count], as: UTF8.self) : nil
    }
}

package enum ProcessEnvironment {
    /// The variables this process was started with. From /proc, since Glibc's `environ` is a shared mutable pointer.
    package static func variables() -> [String: String] {
        guard let content = try? FileAccess.read("/proc/self/environ", limitBytes: 16 << 20) else { return [:] }
        var variables: [String: String] = [:]
        for entry in content.bytes.split(separator: 0) {
            guard let equals = entry.firstIndex(of: UInt8(ascii: "=")) else { continue }
            let name = String(decoding: entry[..<equals], as: UTF8.self)
            variables[name] = String(decoding: entry[(equals + 1)...], as: UTF8.self)
        }
        return variables
    }
}
