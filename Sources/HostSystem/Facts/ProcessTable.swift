import Glibc

/// What `/proc` tells about processes.
public struct ProcessTable: Sendable {
    private let root: String

    /// The host's processes, or those of a test's fixture.
    public init(root: String = "/proc") {
        self.root = root
    }

    /// When a process started, in clock ticks since boot; nil when there is no such process. A zombie still has one.
    public func startTime(of processID: pid_t) -> UInt64? {
        // Field 22; counted from behind the command's name, which may hold blanks and parentheses.
        guard let fields = fields(of: processID), fields.count > 19 else { return nil }
        return UInt64(fields[19])
    }

    /// Who started a process, or took it over; nil when there is no such process.
    public func parent(of processID: pid_t) -> pid_t? {
        guard let fields = fields(of: processID), fields.count > 1 else { return nil }
        return pid_t(fields[1])
    }

    /// Whether a thread of a process runs, or waits for a processor, at this moment; false when there is no such process.
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

    /// A process's resident memory in bytes (VmRSS), files that it shares included; nil when there is no such process.
    public func residentMemory(of processID: pid_t) -> UInt64? { sum(of: ["VmRSS"], processID) }

    /// What a process holds of its own in bytes: anonymous and shared memory, page tables, and what was swapped out. Files
    /// that it maps and has not written to belong to all. Nil when there is no such process.
    ///
    /// Read from `status`: `smaps_rollup` is exact in what is shared with whom, and costs a walk over all pages.
    public func heldMemory(of processID: pid_t) -> UInt64? {
        sum(of: ["RssAnon", "RssShmem", "VmPTE", "VmSwap"], processID)
    }

    /// Makes the kernel rather kill this process than others when memory runs out: adds `bias`, in thousandths of all memory,
    /// to what it inherited. Says whether it could; raising it takes no privilege.
    @discardableResult
    public func preferAsVictim(_ processID: pid_t, bias: Int) -> Bool {
        let path = "\(root)/\(processID)/oom_score_adj"
        guard let text = SmallFile.text(path)?.split(separator: "\n").first, let inherited = Int(text) else {
            return false
        }
        let bytes = Array("\(min(1000, inherited + bias))".utf8)
        return (try? SmallFile.write(bytes, to: path)) != nil
    }

    /// Has the processes of a group, which its leader's session has alone, yield the processors to others as much as `nice`
    /// says, 1 to 19. Raising it takes no privilege. Where it cannot be done, nothing happens.
    public func lowerPriority(ofGroup processID: pid_t, nice: Int) async {
        // By its group: by its number it would be the main thread's alone.
        _ = setpriority(__priority_which_t(PRIO_PGRP.rawValue), id_t(max(processID, 0)), Int32(nice))
        // Where sessions are scheduled as wholes ("autogroup"), their own nice value is what counts. The kernel takes one
        // such change in a tenth of a second from those without privilege, and says EAGAIN to others.
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
            // No process has so much that this overflows.
            sum = (sum ?? 0) &+ kibibytes &* 1024
        }
        return sum
    }

    /// The fields of `stat` from the third (the state) on.
    private func fields(of processID: pid_t) -> [Substring]? {
        guard let text = SmallFile.text("\(root)/\(processID)/stat"), let end = text.lastIndex(of: ")") else {
            return nil
        }
        return text[text.index(after: end)...].split { $0 == " " || $0 == "\n" }
    }
}
