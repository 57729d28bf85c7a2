/// Finds a kernel's cries in its console, with the lines around them.
///
/// Feed it every line of the log. A report closes after its last context line, at the kernel's own end mark, or with
/// `finish()`; while one is open no lesser trouble opens another, as an oops is followed by what it leads to.
public struct PanicDetector: Sendable {
    /// What the detector finds in a line.
    public enum Finding: Sendable, Hashable {
        /// Trouble begins with this line. A fatal one need not wait for its context.
        case began(Trouble)
        /// The context after it is complete.
        case completed(Trouble)
    }

    /// One trouble and its context.
    public struct Trouble: Sendable, Hashable {
        /// What happened.
        public var kind: KernelTrouble.Kind
        /// The kernel's message, without its time stamp.
        public var message: String
        /// The lines before, the line itself, and those after.
        public var lines: [ConsoleLine]
        /// Which of `lines` it is.
        public var index: Int

        /// Whether it is the guest's end.
        public var isFatal: Bool { kind.severity == .fatal }
    }

    private let troubles: [KernelTrouble]
    private let before: Int
    private let after: Int
    private var past: [ConsoleLine] = []
    private var open: Trouble?

    /// A detector of `troubles` that reports `before` lines before and `after` lines after each.
    public init(_ troubles: [KernelTrouble] = KernelTrouble.known, before: Int = 10, after: Int = 40) {
        self.troubles = troubles
        self.before = max(before, 0)
        self.after = max(after, 0)
    }

    /// Takes the next line.
    public mutating func receive(_ line: ConsoleLine) -> [Finding] {
        defer {
            past.append(line)
            if past.count > before { past.removeFirst(past.count - before) }
        }
        let message = kernelMessage(of: line.text)
        open?.lines.append(line)
        if let trouble = troubles.first(where: { $0.matches(message) }), open.map({ trouble.outranks($0) }) ?? true {
            let report = Trouble(
                kind: trouble.kind, message: String(message), lines: past + [line], index: past.count)
            defer { open = report }
            return finish() + [.began(report)]
        }
        guard let report = open else { return [] }
        let isEnd = message.hasPrefix("---[ end ")
        return isEnd || report.lines.count - report.index > after ? finish() : []
    }

    /// No more lines will come: completes the open report, if there is one.
    public mutating func finish() -> [Finding] {
        defer { open = nil }
        return open.map { [.completed($0)] } ?? []
    }
}

extension KernelTrouble {
    /// Whether this is news while `report` is open: an oops after a warning, the end of a guest that was only in trouble.
    fileprivate func outranks(_ report: PanicDetector.Trouble) -> Bool { kind.severity > report.kind.severity }
}

/// A line of the kernel's log without what it puts before a message: level, time stamp, and caller.
///
/// Such as `<4>[    1.234567] ` and `[    1.234567][  T123] `.
func kernelMessage(of line: String) -> Substring {
    var rest = line[...]
    if rest.hasPrefix("<"), let end = rest.prefix(5).firstIndex(of: ">") { rest = rest[rest.index(after: end)...] }
    while rest.hasPrefix("["), let end = rest.prefix(24).firstIndex(of: "]"),
        rest[..<end].dropFirst().allSatisfy({ $0.isASCII && ($0.isNumber || " .TC".contains($0)) })
    {
        rest = rest[rest.index(after: end)...].drop { $0 == " " }
    }
    return rest
}
