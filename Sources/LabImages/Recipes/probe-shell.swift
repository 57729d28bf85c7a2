/// What a POSIX shell needs for vmlab's `sh` dialect: quotes, variables, `;` `&&` `||`, subshells, and the host's functions
/// `b`, `a` and `v`, which are built in here. It is no more of a shell: words are not split, nothing has patterns.
extension Session {
    /// Runs a text to its end, or to what ends it.
    mutating func runShell(_ text: Bytes) {
        // The host's setup defines what is built in; its network script configures a Linux.
        if text.hasPrefix("trap : INT;exec 8") || text.hasPrefix("card() {") { return }
        var parser = ShellParser(text: text)
        var isSkipped = false
        while !isExiting, !parser.isAtEnd {
            let marks = (words.count, argumentMark)
            let command = parser.next(&self, isSkipped: isSkipped)
            let arguments = arguments(from: marks.1)
            if !isSkipped {
                let outer = output
                output = parser.output ?? output
                switch command {
                case .subshell(let inner): subshell { $0.runShell(inner) }
                case .simple where arguments.count > 0: status = runShellCommand(arguments)
                case .simple: break
                }
                output = outer
            }
            words.cut(to: marks.0)
            cutArguments(to: marks.1)
            switch parser.separator {
            case .always: isSkipped = false
            case .ifSuccess: isSkipped = status != 0
            case .ifFailure: isSkipped = status == 0
            }
        }
    }

    /// What happens within leaves nothing behind but its status.
    mutating func subshell(_ body: (inout Session) -> Void) {
        let outer = outerVariables
        outerVariables = variables.count
        status = 0
        body(&self)
        variables.cut(to: outerVariables)
        outerVariables = outer
        isExiting = false
    }

    private mutating func runShellCommand(_ arguments: Arguments) -> Int {
        let name = arguments[0]
        if name == "b" {
            write("\u{1e}")
            write(arguments[1].prefix(8))
            write("+")
            return 0
        }
        if name == "a" {
            write("\u{1e}")
            write(arguments[1])
            write("-")
            write(Bytes(decimal: status))
            write("\n")
            return 0
        }
        if name == "v" {
            _ = runBuiltIn("b", arguments[1])
            subshell {
                $0.runShell(arguments[3])
                if !$0.isExiting { $0.runShell(arguments[2]) }
            }
            return runBuiltIn("a", arguments[1])
        }
        if name == "eval" {
            runShell(arguments[1])
            return status
        }
        if name == "exit" {
            isExiting = true
            return (arguments[1].number ?? status) & 0xff
        }
        if name == "export" || isAssignment(name) {
            var index = name == "export" ? 1 : 0
            while index < arguments.count {
                let word = arguments[index]
                let length = word.index(of: 0x3d)
                if length < word.count { set(word.prefix(length), to: word.dropping(length &+ 1)) }
                index &+= 1
            }
            return 0
        }
        if name == "printf" {
            printf(arguments)
            return 0
        }
        if name == ":" || name == "cd" || name == "mkdir" || name == "trap" || name == "vmlab-kill" { return 0 }
        if name == "test" || name == "[" { return test(arguments) ? 0 : 1 }
        if let status = runProgram(arguments) { return status }
        return fail("sh: not found: ", name, status: 127)
    }

    private mutating func runBuiltIn(_ name: StaticString, _ argument: Bytes) -> Int {
        let mark = argumentMark
        push(Bytes(name))
        push(argument)
        defer { cutArguments(to: mark) }
        return runShellCommand(self.arguments(from: mark))
    }

    private func isAssignment(_ word: Bytes) -> Bool {
        let length = word.index(of: 0x3d)
        guard length > 0, length < word.count, !isDigit(word[0]) else { return false }
        var index = 0
        while index < length, isNameByte(word[index]) { index &+= 1 }
        return index == length
    }

    /// `printf FORMAT WORD…` with `%s` and `\n`.
    private mutating func printf(_ arguments: Arguments) {
        let format = arguments[1]
        var index = 0
        var word = 2
        while index < format.count {
            let pair = (format[index], format[index &+ 1])
            if pair == (0x25, 0x73) {
                write(arguments[word])
                word &+= 1
            } else if pair == (0x5c, 0x6e) {
                write("\n")
            } else {
                write(format.dropping(index).prefix(1))
                index &-= 1
            }
            index &+= 2
        }
    }

    /// `[ A = B ]`, `!=`, `-n A`, `-z A`, `A`.
    private func test(_ arguments: Arguments) -> Bool {
        let first = arguments[1]
        if first == "-n" { return !arguments[2].isEmpty }
        if first == "-z" { return arguments[2].isEmpty }
        if arguments[2] == "=" { return first == arguments[3] }
        if arguments[2] == "!=" { return !(first == arguments[3]) }
        return !first.isEmpty && !(first == "]")
    }
}
