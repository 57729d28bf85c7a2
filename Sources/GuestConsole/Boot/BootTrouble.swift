/// Console output of a guest that does not come up, with its meaning and remedy, as data.
public struct BootTrouble: Sendable, Hashable {
    /// When it is certain.
    public enum Moment: Sendable, Hashable {
        /// Once the guest is silent: it may yet continue by itself.
        case whenStill
        /// The kernel panics with these words: the panic is reported anyway, and only the remedy is added.
        case inPanic
    }

    /// Where the text stands.
    public enum Place: Sendable, Hashable {
        /// In any line.
        case anywhere
        /// In the last line that is not empty.
        case lastLine
        /// At that line's end: it is a prompt.
        case prompt
    }

    /// Any of these is printed.
    public var texts: [String]
    /// Where.
    public var place: Place
    /// When it is certain.
    public var moment: Moment
    /// Its question, if an answer can be configured; nil otherwise.
    public var question: Reaction.Question?
    /// What has happened: a clause that begins with a subject, such as `the guest is in emergency mode`.
    public var sentence: String
    /// What to do about it.
    public var remedy: String

    init(
        _ texts: String..., at place: Place = .anywhere, moment: Moment = .whenStill,
        asks question: Reaction.Question? = nil, means sentence: String, remedy: String
    ) {
        self.texts = texts
        self.place = place
        self.moment = moment
        self.question = question
        self.sentence = sentence
        self.remedy = remedy
    }

    /// What has happened and what to do about it, in one line.
    public var message: String { "\(sentence); remedy: \(remedy)" }

    /// What a kernel's last message means: the first of `panics` that it contains.
    public static func explaining(panic message: String) -> BootTrouble? {
        panics.first { trouble in trouble.texts.contains { message.contains($0) } }
    }

    /// The first of `troubles` in the output of a guest that is silent now.
    static func find(_ troubles: [BootTrouble], in dialogue: ConsoleDialogue) -> BootTrouble? {
        let lastLine = dialogue.lastLine
        return troubles.first { trouble in
            trouble.texts.contains { text in
                switch trouble.place {
                case .anywhere: dialogue.text.contains(text)
                case .lastLine: lastLine.contains(text)
                case .prompt: lastLine.hasSuffix(text)
                }
            }
        }
    }
}
