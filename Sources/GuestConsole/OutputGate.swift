/// A command's output on its way out. From a greeting on it is held back until it is known whether another shell greeted or the
/// command's output only looks like that.
struct OutputGate {
    /// More bytes than between a greeting and the new shell's answer to a probe.
    private static let limit = 1 << 16

    private let greeting: [UInt8]
    /// Everything from a greeting on, or what may begin one.
    private var held: [UInt8] = []
    private var isClosed = false

    init(_ greeting: [UInt8]?) { self.greeting = greeting ?? [] }

    /// Takes the next piece; returns what may be passed on.
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

    /// The greeting was the command's output: returns everything held back.
    mutating func open() -> ArraySlice<UInt8> {
        defer { (held, isClosed) = ([], false) }
        return held[...]
    }

    /// The output has ended: returns what was held back without a greeting.
    mutating func finish() -> ArraySlice<UInt8> { isClosed ? [] : open() }
}
