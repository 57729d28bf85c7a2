/// The command channel's reading side: takes what is typed apart into whole statements, and gives them to the shells.
///
/// On the `sh` console a statement ends with a line outside quotes. On the `cmd` console it is a line, and lines that
/// begin with DLE are for a POSIX shell beside cmd.exe.
final class Session<Machine: ProbeMachine> {
    private let machine: Machine
    private let language: Shell<Machine>.Language
    private var main: Shell<Machine>
    private var controlShell: Shell<Machine>
    private var statement = StatementReader()
    /// A line for cmd.exe, or one that began with DLE.
    private var line: Text = []
    private var isPlumbing = false
    private var wasReturn = false

    init(_ machine: Machine, _ language: Shell<Machine>.Language) {
        self.machine = machine
        self.language = language
        let files = ProbeFiles()
        main = Shell(machine, files, language)
        controlShell = Shell(machine, files, .sh)
    }

    /// Says that the shell is ready.
    func greet() {
        machine.say(Text("\nVMLAB READY ") + (language == .cmd ? Text("cmd\n") : Text("sh\n")))
    }

    /// Takes one byte that was typed; runs what is complete with it.
    func take(_ byte: UInt8) {
        guard language == .cmd else {
            if let statement = statement.take(byte) { run(statement, main) }
            return
        }
        if isPlumbing {
            isPlumbing = byte != 10
            if let statement = statement.take(byte) { run(statement, controlShell) }
        } else if byte == 10 || byte == 13 {
            let isSecond = byte == 10 && wasReturn
            wasReturn = byte == 13
            guard !isSecond else { return }
            let line = line
            self.line = []
            if main.resident({ main.runLine(line) }) { restart() }
        } else {
            wasReturn = false
            if line.isEmpty, byte == 16 { isPlumbing = true } else { line.append(byte) }
        }
    }

    private func run(_ statement: StatementReader.Statement, _ shell: Shell<Machine>) {
        // It defines `a`, `b` and `v`, which the probe has built in.
        if statement.text.begins("trap : INT;exec 8<") { return }
        if shell.resident({ shell.run(statement) }) { restart() }
    }

    /// The resident shell has ended; a new one takes its place.
    private func restart() {
        let files = ProbeFiles()
        main = Shell(machine, files, language)
        controlShell = Shell(machine, files, .sh)
        greet()
    }
}

/// Finds the ends of statements, each byte looked at once.
struct StatementReader {
    /// A statement, and the document that its last line announced with `9<<'WORD'`.
    struct Statement: Equatable {
        var text: Text
        var document: Text?
    }

    private var text: Text = []
    private var quote: UInt8 = 0
    private var isEscaped = false
    private var delimiter: Text?
    private var document: Text = []
    private var lineStart = 0

    /// Whether a statement has begun and not ended.
    var isTorn: Bool { !text.isEmpty }

    /// Takes the next byte; returns the statement that it completes.
    mutating func take(_ byte: UInt8) -> Statement? {
        if let delimiter { return takeDocument(byte, delimiter) }
        text.append(byte)
        if isEscaped {
            isEscaped = false
        } else if byte == 92, quote != 39 {
            isEscaped = true
        } else if byte == 39 || byte == 34 {
            if quote == 0 { quote = byte } else if quote == byte { quote = 0 }
        } else if byte == 10, quote == 0 {
            if let start = documentStart {
                delimiter = Text(text[(start + 5)...].dropLast(2))
                text.removeSubrange(start...)
                return nil
            }
            return finish(document: nil)
        }
        return nil
    }

    private mutating func takeDocument(_ byte: UInt8, _ delimiter: Text) -> Statement? {
        guard byte == 10, Text(document[lineStart...]) == delimiter else {
            document.append(byte)
            if byte == 10 { lineStart = document.count }
            return nil
        }
        return finish(document: Text(document[..<lineStart]))
    }

    private mutating func finish(document: Text?) -> Statement {
        defer { self = StatementReader() }
        return Statement(text: text, document: document)
    }

    /// Where ` 9<<'WORD'` begins, if the text ends with it.
    private var documentStart: Int? {
        guard text.count > 8, text[text.count - 2] == 39 else { return nil }
        guard let open = text[..<(text.count - 2)].lastIndex(of: 39), open >= 5 else { return nil }
        return text[(open - 4)...].begins(" 9<<") ? open - 4 : nil
    }
}
