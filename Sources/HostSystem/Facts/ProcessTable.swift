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

    /// A process's own memory in bytes (VmRSS); nil when there is no such process.
    public func residentMemory(of processID: pid_t) -> UInt64? {
        guard let text = SmallFile.text("\(root)/\(processID)/status") else { return nil }
        for line in text.split(separator: "\n") where line.hasPrefix("VmRSS:") {
            let words = line.split { $0 == " " || $0 == "\t" }
            return words.count > 1 ? UInt64(words[1]).map { $0 * 1024 } : nil
        }
        return nil
    }

    /// The fields of `stat` from the third (the state) on.
    private func fields(of processID: pid_t) -> [Substring]? {
        guard let text = SmallFile.text("\(root)/\(processID)/stat"), let end = text.lastIndex(of: ")") else {
            return nil
        }
        return text[text.index(after: end)...].split { $0 == " " || $0 == "\n" }
    }
}
