/// Answers what a guest says on its way to a shell: the interpreter of a dialect's reactions.
struct Login {
    /// What to do after a piece of what the guest said.
    enum Step: Equatable {
        case nothing
        case type([[UInt8]])
        case ready
    }

    /// How much of the past a pattern can see.
    private static let memory = 4096

    private var reactions: [Reaction]
    private var heard: [UInt8] = []

    init(_ reactions: [Reaction]) {
        self.reactions = reactions
    }

    mutating func receive(_ bytes: ArraySlice<UInt8>) -> Step {
        guard !reactions.isEmpty else { return .nothing }
        heard = Array((heard + bytes).suffix(Self.memory))
        let text = withoutEscapes(heard[...])
        for index in reactions.indices where reactions[index].times > 0 {
            // A pattern that does not compile was refused where it was declared; here it is one never met.
            guard let regex = try? Regex(reactions[index].pattern), text.firstMatch(of: regex) != nil else { continue }
            reactions[index].times -= 1
            heard = []
            switch reactions[index].action {
            case .ready: return .ready
            case .type(let keys): return .type([keys])
            }
        }
        return .nothing
    }
}
