extension HostFacts {
    /// What this host's processors are and can do, as far as a guest that runs on them may come to rely on it: vendor, family,
    /// model, stepping, microcode, and all features. Empty when the kernel does not tell.
    public var processor: String {
        let keys: Set = ["vendor_id", "cpu family", "model", "model name", "stepping", "microcode", "flags", "bugs"]
        // The first of them speaks for all.
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
