import Patterns

/// Answers a guest's prompts until its shell is ready, by a dialect's reactions.
struct Login {
    enum Step {
        case type([UInt8])
        /// The shell is ready.
        case ready
        /// It will never be ready.
        case fail(BootTrouble)
    }

    private let reactions: [Reaction]
    /// The reactions' patterns, in order; nil for one that does not compile, which was refused at its declaration.
    private let patterns: [Pattern?]
    /// Set when a search for a pattern failed.
    private var failure: BootTrouble?
    private let nudge: [UInt8]
    private var dialogue = ConsoleDialogue()
    private var timesLeft: [Int] = []
    /// The reaction that answered last.
    private var last: Int?
    /// Whether a possibly lost answer was repeated.
    private var hasRepeated = false
    /// How often in a row the guest was found silent, and the count at which it is nudged.
    private var stalls = 0
    private var stallsToNudge = Self.usualStalls
    /// Whether a password was asked for before a login, and refused.
    private var hasDeclined = false

    private static let usualStalls = 4

    init(_ dialect: Dialect) {
        reactions = dialect.reactions
        patterns = dialect.reactions.map { try? Pattern($0.pattern, anchors: .text) }
        nudge = dialect.nudge
        restart()
    }

    /// Makes all reactions available again.
    mutating func restart() {
        timesLeft = reactions.map(\.times)
        last = nil
        (hasRepeated, hasDeclined) = (false, false)
        (stalls, stallsToNudge) = (0, Self.usualStalls)
    }

    /// Discards the output so far: it is from before a reset.
    mutating func discardOutput() { dialogue = ConsoleDialogue() }

    mutating func receive(_ bytes: ArraySlice<UInt8>) {
        guard !reactions.isEmpty else { return }
        let before = revision
        dialogue.receive(bytes)
        if revision != before { stalls = 0 }
    }

    /// Counts the guest's output, without kernel messages.
    var revision: Int { dialogue.revision }

    /// The guest's progress, as a clause; nil before the first answer.
    var progress: String? {
        switch last.map({ reactions[$0].question }) {
        case nil: nil
        case .login, .password: "its login was answered, but no known shell prompt followed"
        case .shell: "its prompt was answered, but the shell did not start the session"
        case .other: "a reaction answered it, but no known shell prompt followed"
        }
    }

    /// The action for the output since the last reaction; nil for none.
    mutating func react() -> Step? {
        let text = dialogue.text
        guard !text.isEmpty else { return nil }
        if let last, reactions[last].question == .password {
            if BootTrouble.bootingStill.contains(where: { text.contains($0) }) {
                timesLeft = reactions.map(\.times)
            } else if BootTrouble.refusals.contains(where: { text.contains($0) }) {
                return .fail(.refusedLogin)
            }
        }
        let next = reactions.indices.first {
            timesLeft[$0] > 0 && isAsked($0) && !isBeingAnswered($0) && !isOutOfOrder($0)
        }
        if let failure { return .fail(failure) }
        return next.map { answer($0) }
    }

    /// The action for a guest that has been silent for a while; nil for none.
    mutating func stalled() -> Step? {
        guard !reactions.isEmpty else { return nil }
        let asked = reactions.indices.first { isAsked($0) }
        if let failure { return .fail(failure) }
        if let asked {
            if isOutOfOrder(asked), !hasDeclined {
                hasDeclined = true
                dialogue.answered()
                return .type(nudge)
            }
            if timesLeft[asked] > 0 { return answer(asked) }
            if hasRepeated { return .fail(unanswered(reactions[asked])) }
            // The guest may have discarded an answer that was typed too soon.
            hasRepeated = true
            return answer(asked)
        }
        let unanswered = BootTrouble.questions.filter { question in
            question.question == nil || !reactions.contains { $0.question == question.question }
        }
        if let trouble = BootTrouble.find(BootTrouble.known + unanswered, in: dialogue) { return .fail(trouble) }
        // A line end repeats a prompt that other output overwrote. Firmware, boot loaders and kernels have no prompt.
        stalls += 1
        guard !nudge.isEmpty, dialogue.stage >= .userland else { return nil }
        if hidesPrompt {
            dialogue.answered()
        } else {
            guard stalls >= stallsToNudge else { return nil }
            stallsToNudge = min(stallsToNudge * 2, 16)
        }
        return .type(nudge)
    }

    /// Whether something was printed after a prompt.
    private var hidesPrompt: Bool {
        dialogue.text.split(separator: "\n").contains { line in
            patterns.contains { (try? $0?.quicklyMatches(String(line))) == true }
        }
    }

    /// Whether a password is asked for before a user name was given: another user's, or after an empty name typed too soon.
    private func isOutOfOrder(_ index: Int) -> Bool {
        guard reactions[index].question == .password, reactions.contains(where: { $0.question == .login }) else {
            return false
        }
        return last.map { ![.login, .password].contains(reactions[$0].question) } ?? true
    }

    private mutating func isAsked(_ index: Int) -> Bool {
        do throws(PatternFailure) {
            return try patterns[index]?.quicklyMatches(dialogue.text) ?? false
        } catch {
            failure = .slowPattern(reactions[index].pattern)
            return false
        }
    }

    /// Whether the guest asks again before it has echoed the first answer: it asked twice before the answer arrived.
    private func isBeingAnswered(_ index: Int) -> Bool {
        guard last == index, reactions[index].question == .login, case .type(let keys) = reactions[index].action else {
            return false
        }
        return !dialogue.text.contains(String(decoding: keys, as: UTF8.self).filter { !$0.isNewline })
    }

    private mutating func answer(_ index: Int) -> Step {
        timesLeft[index] -= 1
        last = index
        // The guest needs time to process the answer.
        (stalls, stallsToNudge) = (0, Self.usualStalls)
        dialogue.answered()
        return switch reactions[index].action {
        case .type(let keys): .type(keys)
        case .ready: .ready
        }
    }

    private func unanswered(_ reaction: Reaction) -> BootTrouble {
        let prompt = dialogue.lastLine
        guard reaction.question == .shell else { return .repeated(String(prompt)) }
        // After the echo of the input, and before the prompt.
        let lines = dialogue.text.split(separator: "\n").filter { !$0.allSatisfy(\.isWhitespace) }
        return .noShell(at: String(prompt), saying: String(lines.dropFirst().dropLast().last ?? ""))
    }
}
