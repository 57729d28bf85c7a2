import Glibc

/// Facts about processes from `/proc`.
public struct ProcessTable: Sendable {
    private let root: String

    /// The host's processes, or those of a test's fixture.
    public init(root: String = "/proc") {
        self.root = root
    }

    /// When a process started, in clock ticks since boot; nil when there is no such process. A zombie still has one.
    public func startTime(of processID: pid_t) -> UInt64? {
        // Field 22, counted from behind the command's name, which may contain blanks and parentheses.
        guard let fields = fields(of: processID), fields.count > 19 else { return nil }
        return UInt64(fields[19])
    }

    /// A process's parent; nil when there is no such process.
    public func parent(of processID: pid_t) -> pid_t? {
        guard let fields = fields(of: processID), fields.count > 1 else { return nil }
        return pid_t(fields[1])
    }

    /// Whether a thread of a process is in state R (running or runnable) now; false when there is no such process.
    public func isRunning(_ processID: pid_t) -> Bool {
        let threads = ProcessTable(root: "\(root)/\(processID)/task")
        let names = (try? FileTree.names(in: threads.root)) ?? []
        return names.contains { threads.fields(of: pid_t($0) ?? 0)?.first == "R" }
    }

    /// Whether the process with this id and start time still runs (a zombie does not).
    public func isAlive(_ processID: pid_t, startTime: UInt64) -> Bool {
        guard let fields = fields(of: processID), fields.count > 19 else { return false }
        return fields[0] != "Z" && fields[0] != "X" && UInt64(fields[19]) == startTime
    }

    /// A process's command line; nil when there is no such process, empty for a zombie.
    public func commandLine(of processID: pid_t) -> [String]? {
        guard let text = SmallFile.text("\(root)/\(processID)/cmdline") else { return nil }
        return text.split(separator: "\0").map(String.init)
    }

    /// A process's resident memory in bytes (VmRSS), including shared files; nil when there is no such process.
    public func residentMemory(of processID: pid_t) -> UInt64? { sum(of: ["VmRSS"], processID) }

    /// A process's own memory in bytes: anonymous and shared memory, page tables, and swap. Mapped files without private changes
    /// do not count. Nil when there is no such process.
    ///
    /// Read from `status`: `smaps_rollup` is exact about sharing, but walks all pages.
    public func heldMemory(of processID: pid_t) -> UInt64? {
        sum(of: ["RssAnon", "RssShmem", "VmPTE", "VmSwap"], processID)
    }

    /// Makes this process a preferred victim of the OOM killer: adds `bias`, in thousandths of all memory, to the inherited value.
    /// Returns whether it succeeded; raising it takes no privilege.
    @discardableResult
    public func preferAsVictim(_ processID: pid_t, bias: Int) -> Bool {
        let path = "\(root)/\(processID)/oom_score_adj"
        guard let text = SmallFile.text(path)?.split(separator: "\n").first, let inherited = Int(text) else {
            return false
        }
        let bytes = Array("\(min(1000, inherited + bias))".utf8)
        return (try? SmallFile.write(bytes, to: path)) != nil
    }

    /// Sets the nice value, 1 to 19, of a process group alone in its leader's session. Needs no privilege; errors are ignored.
    public func lowerPriority(ofGroup processID: pid_t, nice: Int) async {
        // For the group: by process id it would apply to the main thread only.
        _ = setpriority(__priority_which_t(PRIO_PGRP.rawValue), id_t(max(processID, 0)), Int32(nice))
        // With autogroup scheduling the session's own nice value counts. Without privilege the kernel accepts one such change per
        // 0.1 s, and returns EAGAIN to others.
        let path = "\(root)/\(processID)/autogroup"
        for _ in 0..<20 {
            do throws(SystemCallError) {
                return try SmallFile.write(Array("\(nice)".utf8), to: path)
            } catch {
                guard error.errno == EAGAIN, (try? await Task.sleep(for: .milliseconds(100))) != nil else { return }
            }
        }
    }

    private func sum(of keys: Set<Substring>, _ processID: pid_t) -> UInt64? {
        guard let text = SmallFile.text("\(root)/\(processID)/status") else { return nil }
        var sum: UInt64?
        for line in text.split(separator: "\n") {
            guard let colon = line.firstIndex(of: ":"), keys.contains(line[..<colon]) else { continue }
            let words = line[colon...].split { $0 == " " || $0 == "\t" }
            guard words.count > 1, let kibibytes = UInt64(words[1]) else { continue }
            // No process has enough memory to overflow this.
            sum = (sum ?? 0) &+ kibibytes &* 1024
        }
        return sum
    }

    /// The fields of `stat` from the third (the state).
    private func fields(of processID: pid_t) -> [Substring]? {
        guard let text = SmallFile.text("\(root)/\(processID)/stat"), let end = text.lastIndex(of: ")") else {
            return nil
        }
        return text[text.index(after: end)...].split { $0 == " " || $0 == "\n" }
    }
}
