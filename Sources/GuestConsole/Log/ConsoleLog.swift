import HostSystem
/// One line of a guest's kernel console.
public struct ConsoleLine: Sendable, Hashable {
    /// Its place in the log, from 1.
    public var number: Int
    /// When the host got its first byte.
    public var time: ContinuousClock.Instant
    /// As it came, without its line end.
    public var raw: [UInt8]
    /// The same for reading and matching: no escape sequences, and only what a carriage return left to be seen.
    public var text: String

    /// A line as given.
    public init(number: Int, time: ContinuousClock.Instant, raw: [UInt8], text: String) {
        self.number = number
        self.time = time
        self.raw = raw
        self.text = text
    }
}

/// Cuts a kernel console's bytes into lines and keeps the last of them. A line ends at a line feed; carriage returns before it
/// belong to the line end. Memory is bounded: a line longer than `longestLine` bytes goes on as the next.
public struct ConsoleLog: Sendable {
    /// The last lines, oldest first, at most as many as are kept.
    public var tail: [ConsoleLine] { lines.count > keeping ? Array(lines.suffix(keeping)) : lines }

    private let keeping: Int
    private let longestLine: Int
    private var lines: [ConsoleLine] = []
    private var count = 0
    private var open: [UInt8] = []
    private var openSince: ContinuousClock.Instant?

    /// An empty log that keeps the last `keeping` lines and cuts lines at `longestLine` bytes; both at least 1.
    public init(keeping: Int = 200, longestLine: Int = 4096) {
        self.keeping = max(keeping, 1)
        self.longestLine = max(longestLine, 1)
    }

    /// Takes the next bytes, which came at `time`. `line` is given each line that they complete.
    public mutating func receive(
        _ bytes: ArraySlice<UInt8>, at time: ContinuousClock.Instant = HostClock.now, line: (ConsoleLine) -> Void
    ) {
        var rest = bytes
        while !rest.isEmpty {
            let room = longestLine - open.count
            let piece = rest.prefix(room)
            let newline = piece.withUnsafeBytes { offset(of: UInt8(ascii: "\n"), in: $0) }
            let kept = newline.map { piece.prefix($0) } ?? piece
            open += kept
            openSince = openSince ?? time
            rest = rest.dropFirst(newline.map { $0 + 1 } ?? kept.count)
            if newline != nil || kept.count == room { finish(line: line) }
        }
    }

    /// Ends a last line that has no line end, if there is one: the guest is gone, or waits at a prompt.
    public mutating func finish(line: (ConsoleLine) -> Void) {
        guard let time = openSince else { return }
        var bytes = open
        open = []
        openSince = nil
        while bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
        count += 1
        let seen = bytes.lastIndex(of: UInt8(ascii: "\r")).map { bytes[($0 + 1)...] } ?? bytes[...]
        let next = ConsoleLine(number: count, time: time, raw: bytes, text: withoutEscapes(seen))
        lines.append(next)
        // Dropping in batches keeps a line's cost constant.
        if lines.count >= keeping * 2 { lines.removeFirst(lines.count - keeping) }
        line(next)
    }
}
