import CLinux
import Glibc

/// This host's memory, processors, names and limits, each read at the time of the call.
public struct HostFacts: Sendable {
    let procRoot: String
    private let cgroupRoot: String

    /// Facts of this host, or those of a test's fixture.
    public init(procRoot: String = "/proc", cgroupRoot: String = "/sys/fs/cgroup") {
        self.procRoot = procRoot
        self.cgroupRoot = cgroupRoot
    }

    /// RAM of the host in bytes (MemTotal); 0 when unknown.
    public var totalMemory: UInt64 { memoryInformation("MemTotal") ?? 0 }

    /// RAM available without swapping, in bytes (MemAvailable); 0 when unknown.
    public var availableMemory: UInt64 { memoryInformation("MemAvailable") ?? 0 }

    /// The bytes that this process may still allocate under its cgroups; nil without a limit. A cgroup's reclaimable page cache
    /// counts as free, as it does in MemAvailable.
    public var cgroupMemory: UInt64? { ControlGroups(procRoot: procRoot, cgroupRoot: cgroupRoot).memoryLeft }

    /// Memory available to guests now, in bytes: the smaller of available memory and the cgroups' remainder.
    public var usableMemory: UInt64 { min(availableMemory, cgroupMemory ?? .max) }

    /// Memory pressure of the host or of this process's control group, whichever is worse; nil where the kernel does not report it.
    public var memoryPressure: MemoryPressure? {
        let host = SmallFile.text("\(procRoot)/pressure/memory").flatMap { MemoryPressure($0) }
        let group = ControlGroups(procRoot: procRoot, cgroupRoot: cgroupRoot).memoryPressure
        guard let host, let group else { return host ?? group }
        return host.worse(group)
    }

    /// Processors that this process can use, counting affinity and cgroup quotas, rounded up; at least 1.
    public var processorCount: Int {
        let allowed = Int(vmlab_cpu_count())
        guard let quota = ControlGroups(procRoot: procRoot, cgroupRoot: cgroupRoot).processors else { return allowed }
        return max(1, min(allowed, Int(quota.rounded(.up))))
    }

    /// The kernel's release, such as `6.1.0-18-amd64`.
    public var kernelRelease: String { trimmed("\(procRoot)/sys/kernel/osrelease") ?? "unknown" }

    /// The host's name.
    public var hostName: String { trimmed("\(procRoot)/sys/kernel/hostname") ?? "localhost" }

    /// The soft limit of open files of this process.
    public var openFileLimit: Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 0 }
        return Int(clamping: limit.rlim_cur)
    }

    /// Bytes that this user can still write to the file system of `path`.
    public static func freeSpace(at path: String) throws(SystemCallError) -> UInt64 {
        var status = statvfs()
        try systemCall("statvfs", path) { statvfs(path, &status) }
        let (bytes, overflow) = UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize))
        return overflow ? .max : bytes
    }

    private func memoryInformation(_ key: String) -> UInt64? {
        guard let text = SmallFile.text("\(procRoot)/meminfo") else { return nil }
        for line in text.split(separator: "\n") where line.hasPrefix(key + ":") {
            let words = line.split(separator: " ")
            return words.count > 1
                ? UInt64(words[1]).map { $0.multipliedReportingOverflow(by: 1024).partialValue } : nil
        }
        return nil
    }

    private func trimmed(_ path: String) -> String? {
        SmallFile.text(path)?.split(separator: "\n").first.map(String.init)
    }
}

extension HostFacts {
    /// The CPU properties that a guest may rely on: vendor, family, model, stepping, microcode, all features. Empty when unknown.
    public var processor: String {
        let keys: Set = ["vendor_id", "cpu family", "model", "model name", "stepping", "microcode", "flags", "bugs"]
        // The first processor stands for all.
        let lines = (SmallFile.text("\(procRoot)/cpuinfo") ?? "").split(
            separator: "\n", omittingEmptySubsequences: false)
        return lines.prefix { !$0.isEmpty }.compactMap { line -> String? in
            let parts = line.split(separator: ":", maxSplits: 1)
            let key = parts.first.map { $0.trimmingBlanks() } ?? ""
            guard parts.count == 2, keys.contains(key) else { return nil }
            return "\(key) \(parts[1].trimmingBlanks())"
        }.joined(separator: "; ")
    }
}

extension Substring {
    fileprivate func trimmingBlanks() -> String {
        let start = drop { $0 == " " || $0 == "\t" }
        return String(start.reversed().drop { $0 == " " || $0 == "\t" }.reversed())
    }
}
