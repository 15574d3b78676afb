// What every process tells of itself, under the names that dashboards know. Read from /proc when it is asked for.
internal import Glibc

package enum ProcessMetrics {
    package static func collect() -> MetricsCollection { Metrics.collect { write(to: &$0) } }

    private static func write(to page: inout MetricsPage) {
        if let resident = residentBytes {
            page.gauge("process_resident_memory_bytes", "Memory of the process that is in RAM.", resident)
        }
        if let count = openDescriptors { page.gauge("process_open_fds", "Open file descriptors.", count) }
        var limit = rlimit()
        if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
            page.gauge("process_max_fds", "File descriptors the process may open.", Int(clamping: limit.rlim_cur))
        }
        var usage = rusage()
        if getrusage(RUSAGE_SELF.rawValue, &usage) == 0 {
            page.counter(
                "process_cpu_seconds_total", "Processor time used, user and system.",
                seconds(usage.ru_utime) + seconds(usage.ru_stime))
        }
        if let started = startSeconds {
            page.gauge("process_start_time_seconds", "When the process started, seconds since 1970.", started)
        }
    }

    private static func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }

    private static var residentBytes: Int? {
        let fields = words(of: "/proc/self/statm")
        return fields.count > 1 ? Int(fields[1]).map { $0 * sysconf(Int32(_SC_PAGESIZE)) } : nil
    }

    private static var openDescriptors: Int? {
        guard let folder = opendir("/proc/self/fd") else { return nil }
        defer { closedir(folder) }
        var count = 0
        while readdir(folder) != nil { count += 1 }
        // `.`, `..`, and the folder's own.
        return max(0, count - 3)
    }

    /// Taken once: computed again it would move with every step of the wall clock.
    private static let startSeconds: Double? = {
        // The name in parentheses is the second field and may have blanks; the start is the 22nd.
        guard let rest = text(of: "/proc/self/stat").split(separator: ")").last else { return nil }
        let fields = rest.split(separator: " ")
        guard fields.count > 19, let ticks = Double(fields[19]) else { return nil }
        var boot = timespec()
        clock_gettime(CLOCK_BOOTTIME, &boot)
        let age = Double(boot.tv_sec) + Double(boot.tv_nsec) / 1e9 - ticks / Double(sysconf(Int32(_SC_CLK_TCK)))
        return (Double(Clock.wallMilliseconds()) / 1e3 - age).rounded()
    }()

    private static func words(of path: String) -> [Substring] { text(of: path).split(separator: " ") }

    private static func text(of path: String) -> String {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return "" }
        defer { close(file) }
        var buffer = [UInt8](repeating: 0, count: 1024)
        let count = read(file, &buffer, buffer.count)
        return String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
    }
}
