/// What cmd.exe needs for vmlab's `cmd` dialect: `%NAME%`, `^`, quotes, `&` `&&` `||`, `if A==B`, and a batch file, which the
/// plumbing shell writes. It is no more of a cmd: no labels, no blocks, no loops.
extension Session {
    /// Runs one line; a batch file's differs in what a lone percent sign means.
    mutating func runBatchLine(_ line: Bytes, inFile: Bool = false) {
        let marks = (words.count, argumentMark)
        runBatchCommands(expanded(line, inFile: inFile))
        words.cut(to: marks.0)
        cutArguments(to: marks.1)
    }

    /// Runs the batch file in a cmd of its own.
    private mutating func runBatchFile() {
        subshell { session in
            var rest = session.batchFile.bytes
            while !rest.isEmpty, !session.isExiting {
                let length = rest.index(of: 0x0a)
                session.runBatchLine(rest.prefix(length), inFile: true)
                rest = rest.dropping(length &+ 1)
            }
        }
    }

    /// The line with its variables' values in place.
    private mutating func expanded(_ line: Bytes, inFile: Bool) -> Bytes {
        let start = words.count
        var index = 0
        while index < line.count {
            let byte = line[index]
            index &+= 1
            if byte == 0x0d { continue }
            guard byte == 0x25 else {
                words.append(byte)
                continue
            }
            let name = line.dropping(index).prefix(line.dropping(index).index(of: 0x25))
            if inFile, name.isEmpty, index < line.count {
                words.append(0x25)
                index &+= 1
            } else if index &+ name.count < line.count, !name.isEmpty {
                words.append(batchValue(of: name))
                index &+= name.count &+ 1
            } else if !inFile {
                words.append(0x25)
            }
        }
        return words.bytes.dropping(start)
    }

    private func batchValue(of name: Bytes) -> Bytes {
        if name.isSameWord(as: Bytes("ERRORLEVEL")) { return Bytes(decimal: status) }
        if name.isSameWord(as: Bytes("COMPUTERNAME")) { return hostname }
        return value(of: name)
    }

    /// Runs the commands of an expanded line one after the other.
    private mutating func runBatchCommands(_ line: Bytes) {
        var rest = line
        var isSkipped = false
        while !rest.isEmpty, !isExiting {
            let start = words.count
            let (length, separator) = takeBatchCommand(rest)
            let command = words.bytes.dropping(start).trimmed
            if !isSkipped, !command.isEmpty {
                let outer = output
                if batchTarget { output = .nowhere }
                runBatchCommand(command)
                output = outer
            }
            rest = rest.dropping(length)
            switch separator {
            case .always: isSkipped = false
            case .ifSuccess: isSkipped = status != 0
            case .ifFailure: isSkipped = status == 0
            }
        }
    }

    /// Copies the first command of a line to the words, without carets and redirections. Returns its length with
    /// the separator behind it. Nothing is read, and all output is one, so only `>NUL` matters.
    private mutating func takeBatchCommand(_ line: Bytes) -> (Int, ShellParser.Separator) {
        var index = 0
        var isQuoted = false
        batchTarget = false
        while index < line.count {
            let byte = line[index]
            index &+= 1
            if byte == 0x22 { isQuoted = !isQuoted }
            if isQuoted {
                words.append(byte)
            } else if byte == 0x5e {
                if index < line.count { words.append(line[index]) }
                index &+= 1
            } else if byte == 0x26 || byte == 0x7c {
                guard line[index] == byte else { return (index, .always) }
                return (index &+ 1, byte == 0x26 ? .ifSuccess : .ifFailure)
            } else if byte == 0x3c || byte == 0x3e {
                let isErrors = index > 1 && line[index &- 2] == 0x32
                if isErrors { words.cut(to: words.count &- 1) }
                if line[index] == 0x26 { index &+= 1 }
                while line[index] == 0x20 { index &+= 1 }
                while index < line.count, line[index] != 0x20, line[index] != 0x26, line[index] != 0x7c { index &+= 1 }
                if byte == 0x3e, !isErrors { batchTarget = true }
            } else {
                words.append(byte)
            }
        }
        return (index, .always)
    }

    private mutating func runBatchCommand(_ text: Bytes) {
        let command = text[0] == 0x40 ? text.dropping(1).trimmed : text
        var length = 0
        while length < command.count, command[length] != 0x20, command[length] != 0x2e || length == 0 { length &+= 1 }
        let name = command.prefix(length)
        let rest = command.dropping(length &+ 1)
        if name.isSameWord(as: Bytes("rem")) || name.hasPrefix(":") || name.isSameWord(as: Bytes("mkdir")) { return }
        if name.isSameWord(as: Bytes("echo")) { return echo(rest, isBlank: command[length] == 0x2e) }
        if name.isSameWord(as: Bytes("set")) { return set(rest) }
        if name.isSameWord(as: Bytes("if")) { return runIf(rest.trimmed) }
        if name.isSameWord(as: Bytes("cd")) {
            status = 0
            return
        }
        if name.isSameWord(as: Bytes("exit")) {
            let isFile = rest.prefix(2).isSameWord(as: Bytes("/b"))
            status =
                (isFile ? rest.dropping(2) : rest).trimmed.number.map { Int(Int32(truncatingIfNeeded: $0)) } ?? status
            isExiting = true
            return
        }
        if name.isSameWord(as: Bytes("cmd")), rest.prefix(2).isSameWord(as: Bytes("/c")) {
            let what = rest.dropping(2).trimmed
            if what.isSameWord(as: Bytes("C:\\lab\\task.bat")) { return runBatchFile() }
            return subshell { $0.runBatchCommands(what) }
        }
        let mark = argumentMark
        pushBatchWords(command)
        let arguments = arguments(from: mark)
        if let result = runProgram(arguments) {
            status = result
        } else {
            write("'")
            write(arguments[0])
            write("' is not recognized as an internal or external command,\r\noperable program or batch file.\r\n")
            status = 9009
        }
        cutArguments(to: mark)
    }

    private mutating func echo(_ text: Bytes, isBlank: Bool) {
        let word = text.trimmed
        if !isBlank, word.isSameWord(as: Bytes("off")) || word.isSameWord(as: Bytes("on")) { return }
        if !isBlank, word.isEmpty { write("ECHO is off.") } else { write(text) }
        write("\r\n")
    }

    /// `NAME=VALUE` or `"NAME=VALUE"`.
    private mutating func set(_ text: Bytes) {
        var pair = text.trimmed
        if pair[0] == 0x22 {
            pair = pair.dropping(1)
            if pair[pair.count &- 1] == 0x22 { pair.count &-= 1 }
        }
        let length = pair.index(of: 0x3d)
        if length < pair.count {
            set(pair.prefix(length), to: pair.dropping(length &+ 1))
        } else {
            write(value(of: pair))
            write("\r\n")
        }
    }

    /// `[not] A==B COMMAND` or `[not] errorlevel N COMMAND`, behind the `if`.
    private mutating func runIf(_ text: Bytes) {
        var rest = text
        let isNegated = rest.prefix(4).isSameWord(as: Bytes("not "))
        if isNegated { rest = rest.dropping(4).trimmed }
        let isTrue: Bool
        if rest.prefix(11).isSameWord(as: Bytes("errorlevel ")) {
            rest = rest.dropping(11).trimmed
            isTrue = status >= (rest.number ?? 0)
        } else {
            let equals = rest.index(of: 0x3d)
            let first = rest.prefix(equals).trimmed
            rest = rest.dropping(equals &+ 2).trimmed
            isTrue = rest.prefix(rest.batchWordLength) == first
        }
        if isTrue != isNegated { runBatchCommand(rest.dropping(rest.batchWordLength).trimmed) }
    }

    private mutating func pushBatchWords(_ text: Bytes) {
        var rest = text
        while !rest.isEmpty {
            let length = rest.batchWordLength
            var word = rest.prefix(length)
            if word[0] == 0x22 {
                word = word.dropping(1)
                if word[word.count &- 1] == 0x22 { word.count &-= 1 }
            }
            push(word)
            rest = rest.dropping(length).trimmed
        }
    }
}

extension Bytes {
    /// Without blanks at either end.
    var trimmed: Bytes {
        var result = self
        while result.count > 0, result[0] == 0x20 || result[0] == 0x09 { result = result.dropping(1) }
        while result.count > 0, result[result.count &- 1] == 0x20 { result.count &-= 1 }
        return result
    }

    /// How long the first word is, blanks in quotes included.
    fileprivate var batchWordLength: Int {
        var index = 0
        var isQuoted = false
        while index < count, isQuoted || start[index] != 0x20 {
            if start[index] == 0x22 { isQuoted = !isQuoted }
            index &+= 1
        }
        return index
    }
}
