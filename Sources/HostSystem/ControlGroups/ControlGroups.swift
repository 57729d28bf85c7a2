/// The limits of the control groups that this process is in, version 2 and 1, up the whole hierarchy.
struct ControlGroups {
    private let procRoot: String
    private let cgroupRoot: String

    init(procRoot: String, cgroupRoot: String) {
        self.procRoot = procRoot
        self.cgroupRoot = cgroupRoot
    }

    /// This process's group of version 2; nil where there is no such hierarchy.
    var ownFolder: String? { folders(controller: nil).first }

    /// Bytes below the nearest memory limit; nil without a limit.
    var memoryLeft: UInt64? {
        let unified = folders(controller: nil).compactMap { folder -> UInt64? in
            let limits = ["memory.max", "memory.high"].compactMap { number("\(folder)/\($0)") }
            guard let limit = limits.min() else { return nil }
            return left(of: limit, used: "\(folder)/memory.current", in: folder, cacheKey: "inactive_file")
        }
        let legacy = folders(controller: "memory").compactMap { folder -> UInt64? in
            // Version 1 writes "no limit" as the largest page-aligned number.
            guard let limit = number("\(folder)/memory.limit_in_bytes"), limit < 1 << 62 else { return nil }
            return left(
                of: limit, used: "\(folder)/memory.usage_in_bytes", in: folder, cacheKey: "total_inactive_file")
        }
        return (unified + legacy).min()
    }

    /// Memory pressure of this process's group; nil where the kernel does not report it.
    var memoryPressure: MemoryPressure? {
        folders(controller: nil).first.flatMap { SmallFile.text("\($0)/memory.pressure") }
            .flatMap { MemoryPressure($0) }
    }

    /// The CPUs that quotas allow, such as 1.5; nil without a quota.
    var processors: Double? {
        let unified = folders(controller: nil).compactMap { folder -> Double? in
            let words = (SmallFile.text("\(folder)/cpu.max") ?? "").split { $0 == " " || $0 == "\n" }
            guard words.count == 2, let quota = Double(words[0]), let period = Double(words[1]) else { return nil }
            return period > 0 ? quota / period : nil
        }
        let legacy = folders(controller: "cpu").compactMap { folder -> Double? in
            guard let quota = number("\(folder)/cpu.cfs_quota_us"), let period = number("\(folder)/cpu.cfs_period_us")
            else { return nil }
            return period > 0 ? Double(quota) / Double(period) : nil
        }
        return (unified + legacy).min()
    }

    private func left(of limit: UInt64, used file: String, in folder: String, cacheKey: String) -> UInt64 {
        let used = number(file) ?? 0
        let cache = statistic(cacheKey, in: "\(folder)/memory.stat")
        let needed = used > cache ? used - cache : 0
        return limit > needed ? limit - needed : 0
    }

    /// The folders of this process's group and its ancestors for a version 1 controller, or version 2 for nil.
    private func folders(controller: String?) -> [String] {
        guard let text = SmallFile.text("\(procRoot)/self/cgroup") else { return [] }
        for line in text.split(separator: "\n") {
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { continue }
            let controllers = fields[1].split(separator: ",")
            let mount: String
            if let controller {
                guard controllers.contains(Substring(controller)) else { continue }
                mount = "\(cgroupRoot)/\(controller)"
            } else {
                guard fields[0] == "0" && fields[1].isEmpty else { continue }
                mount = SmallFile.text("\(cgroupRoot)/cgroup.controllers") != nil ? cgroupRoot : "\(cgroupRoot)/unified"
            }
            return ancestors(of: fields[2], under: mount)
        }
        return []
    }

    private func ancestors(of group: Substring, under mount: String) -> [String] {
        var names = group.split(separator: "/")
        var result: [String] = []
        while !names.isEmpty {
            result.append(mount + "/" + names.joined(separator: "/"))
            names.removeLast()
        }
        return result + [mount]
    }

    /// A file's number; nil for `max`, negative numbers and missing files.
    private func number(_ path: String) -> UInt64? {
        SmallFile.text(path).flatMap { $0.split(separator: "\n").first }.flatMap { UInt64($0) }
    }

    private func statistic(_ key: String, in path: String) -> UInt64 {
        for line in (SmallFile.text(path) ?? "").split(separator: "\n") where line.hasPrefix(key + " ") {
            return UInt64(line.dropFirst(key.count + 1)) ?? 0
        }
        return 0
    }
}
