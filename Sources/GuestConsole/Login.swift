/// Answers what a guest says on its way to a shell: the interpreter of a dialect's reactions.
struct Login {
    /// How much of the past a pattern can see.
    private static let memory = 4096

    private let reactions: [Reaction]
    private var timesLeft: [Int] = []
    private var heard: [UInt8] = []

    init(_ reactions: [Reaction]) {
        self.reactions = reactions
        restart()
    }

    /// Every reaction is fresh again.
    mutating func restart() { timesLeft = reactions.map(\.times) }

    /// What was said so far was said by a guest that is no more.
    mutating func forget() { heard = [] }

    /// Takes what the guest said next.
    mutating func hear(_ bytes: ArraySlice<UInt8>) {
        guard !reactions.isEmpty else { return }
        heard = Array((heard + bytes).suffix(Self.memory))
    }

    /// What to do about what was said since the last reaction; nil for nothing.
    mutating func react() -> Reaction.Action? {
        guard !heard.isEmpty else { return nil }
        let text = withoutEscapes(heard[...])
        for (index, reaction) in reactions.enumerated() where timesLeft[index] > 0 {
            // A pattern that does not compile was refused where it was declared; here it is one never met.
            guard let regex = try? Regex(reaction.pattern), text.firstMatch(of: regex) != nil else { continue }
            timesLeft[index] -= 1
            heard = []
            return reaction.action
        }
        return nil
    }
}
