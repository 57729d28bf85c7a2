/// A command's output on its way out. From a greeting on it is held back until it is known who greeted: another shell, which
/// took this one's place, or the command itself, whose output merely looks so.
struct OutputGate {
    /// More than what comes between a greeting and the new shell's answer to a probe, in bytes.
    private static let limit = 1 << 16

    private let greeting: [UInt8]
    /// All from a greeting on, or what may be the beginning of one.
    private var held: [UInt8] = []
    private var isClosed = false

    init(_ greeting: [UInt8]?) { self.greeting = greeting ?? [] }

    /// Takes the next piece; returns what may go out.
    mutating func take(_ piece: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        guard !greeting.isEmpty else { return piece }
        let all = held.isEmpty ? piece : (held + piece)[...]
        if !isClosed {
            let start = firstIndex(of: greeting, in: all)
            isClosed = start != nil
            let stop = start ?? all.endIndex - possibleStart(of: greeting, atEndOf: all)
            held = Array(all[stop...])
            return all[..<stop]
        }
        held = Array(all)
        return held.count > Self.limit ? open() : []
    }

    /// The command itself had greeted: returns all that was held back.
    mutating func open() -> ArraySlice<UInt8> {
        defer { (held, isClosed) = ([], false) }
        return held[...]
    }

    /// There will be no more output: returns what was held back without a greeting.
    mutating func finish() -> ArraySlice<UInt8> { isClosed ? [] : open() }
}
