/// Takes one command after the other from a shell's text.
struct ShellParser {
    enum Command {
        /// Its words are on the session's stack of arguments.
        case simple
        case subshell(Bytes)
    }

    /// When the next command runs.
    enum Separator {
        case always, ifSuccess, ifFailure
    }

    let text: Bytes
    private var index = 0
    private(set) var separator = Separator.always
    /// Where the command's output goes, if it says so.
    private(set) var output: Output?

    init(text: Bytes) { self.text = text }

    var isAtEnd: Bool { index >= text.count }

    /// Reads the next command and the separator behind it. A skipped one is read without its effects.
    mutating func next(_ session: inout Session, isSkipped: Bool) -> Command {
        var command = Command.simple
        var isFirst = true
        separator = .always
        output = nil
        while !isAtEnd {
            let byte = text[index]
            switch byte {
            case 0x20, 0x09, 0x0d: index &+= 1
            case 0x23:  // #
                while !isAtEnd, text[index] != 0x0a { index &+= 1 }
            case 0x0a, 0x3b:  // newline ;
                index &+= 1
                return command
            case 0x26, 0x7c:  // & |
                index &+= 1
                if text[index] == byte {
                    index &+= 1
                    separator = byte == 0x26 ? .ifSuccess : .ifFailure
                }
                return command
            case 0x28 where isFirst:  // (
                command = .subshell(parenthesized())
            case 0x3c, 0x3e:
                redirect(&session, isSkipped: isSkipped)
            default:
                // A number right before a redirection is a descriptor.
                if isDigit(byte), text[index &+ 1] == 0x3c || text[index &+ 1] == 0x3e {
                    index &+= 1
                    redirect(&session, isSkipped: isSkipped)
                } else if let word = word(&session) {
                    session.push(word)
                }
            }
            isFirst = false
        }
        return command
    }

    /// `>FILE`; whatever else is redirected is so already: no input, one output.
    private mutating func redirect(_ session: inout Session, isSkipped: Bool) {
        let isOutput = text[index] == 0x3e
        index &+= 1
        let isDuplicate = text[index] == 0x26
        if isDuplicate { index &+= 1 }
        while text[index] == 0x20 { index &+= 1 }
        let target = word(&session) ?? Bytes("")
        guard isOutput, !isDuplicate, !isSkipped else { return }
        if target == "lab/task.bat" {
            session.batchFile.cut(to: 0)
            output = .batchFile
        } else {
            output = .nowhere
        }
    }

    /// What is between `(`, which is next, and its `)`.
    private mutating func parenthesized() -> Bytes {
        index &+= 1
        let start = index
        var depth = 1
        var quote: UInt8 = 0
        while !isAtEnd {
            let byte = text[index]
            if quote != 0 {
                if byte == 0x5c, quote == 0x22 { index &+= 1 } else if byte == quote { quote = 0 }
            } else if byte == 0x27 || byte == 0x22 {
                quote = byte
            } else if byte == 0x28 {
                depth &+= 1
            } else if byte == 0x29 {
                depth &-= 1
                if depth == 0 { break }
            }
            index &+= 1
        }
        let inner = text.dropping(start).prefix(index &- start)
        index &+= 1
        return inner
    }

    /// The next word, expanded, at the end of the session's words; nil when it is empty without quotes.
    private mutating func word(_ session: inout Session) -> Bytes? {
        let start = session.words.count
        var isQuoted = false
        var quote: UInt8 = 0
        loop: while !isAtEnd {
            let byte = text[index]
            index &+= 1
            switch byte {
            case 0x27 where quote != 0x22, 0x22 where quote != 0x27:
                quote = quote == 0 ? byte : 0
                isQuoted = true
            case 0x5c where quote != 0x27:
                session.words.append(text[index])
                index &+= 1
            case 0x24 where quote != 0x27:
                expand(&session)
            case 0x20, 0x09, 0x0a, 0x0d, 0x3b, 0x26, 0x7c, 0x28, 0x29, 0x3c, 0x3e:
                if quote == 0 {
                    index &-= 1
                    // A lone parenthesis is no word, and must not stop the reading.
                    if session.words.count == start, !isQuoted, byte == 0x28 || byte == 0x29 { index &+= 1 }
                    break loop
                }
                session.words.append(byte)
            default:
                session.words.append(byte)
            }
        }
        let bytes = session.words.bytes.dropping(start)
        return bytes.isEmpty && !isQuoted ? nil : bytes
    }

    /// `$NAME`, `${NAME}` or `$?`, behind the dollar sign.
    private mutating func expand(_ session: inout Session) {
        if text[index] == 0x3f {
            index &+= 1
            session.words.append(Bytes(decimal: session.status))
            return
        }
        let isBraced = text[index] == 0x7b
        if isBraced { index &+= 1 }
        let start = index
        while isNameByte(text[index]) { index &+= 1 }
        let name = text.dropping(start).prefix(index &- start)
        if isBraced { index &+= 1 }
        if name.isEmpty { return session.words.append(0x24) }
        if name == "__c" { return session.words.append(3) }
        session.words.append(session.value(of: name))
    }
}
