// A folder for one test, gone after it.
import Glibc

final class TemporaryFolder {
    let path: String

    init() {
        var template = Array("/tmp/bridge-configuration-XXXXXX".utf8CString)
        path = String(cString: mkdtemp(&template)!)
        makeFolder("mappings")
    }

    deinit { remove(path) }

    func makeFolder(_ name: String) { mkdir("\(path)/\(name)", 0o755) }

    @discardableResult
    func write(_ name: String, _ text: String, mode: UInt32 = 0o600) -> String {
        write(name, Array(text.utf8), mode: mode)
    }

    @discardableResult
    func write(_ name: String, _ bytes: [UInt8], mode: UInt32 = 0o600) -> String {
        let file = "\(path)/\(name)"
        let descriptor = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        precondition(Glibc.write(descriptor, bytes, bytes.count) == bytes.count)
        close(descriptor)
        chmod(file, mode)
        return file
    }

    private func remove(_ path: String) {
        if let folder = opendir(path) {
            while let entry = readdir(folder) {
                let name = withUnsafePointer(to: &entry.pointee.d_name) {
                    $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                }
                if name != ".", name != ".." { remove("\(path)/\(name)") }
            }
            closedir(folder)
            rmdir(path)
        } else {
            unlink(path)
        }
    }
}

/// A file of the repository.
func repositoryFile(_ path: String, here: String = #filePath) -> String {
    here.split(separator: "/").dropLast(3).map { "/" + $0 }.joined() + "/" + path
}

func readText(_ path: String) -> String? {
    guard let file = fopen(path, "r") else { return nil }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    while case let byte = getc(file), byte != EOF { bytes.append(UInt8(byte)) }
    return String(decoding: bytes, as: UTF8.self)
}
