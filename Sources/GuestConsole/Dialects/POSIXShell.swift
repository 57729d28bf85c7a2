enum POSIXShell {
    /// The empty input and the one output of a command.
    static let input = "<&8 8<&- 6>&- 2>&1"

    /// Gives a command the session's terminal as its input; the shell, which owns it, waits meanwhile.
    private static let terminal = "exec </dev/tty;"

    /// Prepares the terminal for a command with input: it has line mode until the command has ended, when unread input is dropped
    /// and the terminal is restored to the session's mode.
    private static let lendTerminal = Array(
        ("stty icanon -iexten eof ^D eol undef erase undef kill undef </dev/tty;"
            + "__t='{ stty \(POSIXSession.terminal) min 0 time 1;cat >/dev/null;stty min 1 time 0;} </dev/tty';").utf8)

    /// Replaces an interactive shell by one like that of vmlab's images; `session.sh` has the reasons. Its input is the
    /// terminal as it is open: a user who became another may not open it anew. Where the kernel's log goes to the same port, all
    /// but its gravest messages are kept from it (`dmesg` has them): they would stand in the middle of what commands print.
    static func takeover(sharingConsole: Bool) -> [UInt8] {
        let quiet = sharingConsole ? "(echo 2 >/proc/sys/kernel/printk) 2>/dev/null;" : ""
        return Array(
            ("exec sh -c '\(quiet)stty \(POSIXSession.terminal);exec 6>&1;trap : INT TSTP;"
                + #"{ trap : INT TSTP;printf "\nVMLAB %s sh\n" READY;sh;} 2>&1|"#
                + #"{ trap "" INT TSTP;exec cat >&6;}'"# + "\n").utf8)
    }

    static let probe: @Sendable (Nonce) -> [UInt8] = { nonce in
        Array("\nprintf %s%s \(nonce.halves.0) \(nonce.halves.1)\n".utf8)
    }

    /// The longest text typed at once. Serial ports have no flow control: a guest that is slow to read its port loses
    /// what its kernel cannot buffer (64 KiB in Linux), so longer commands go in acknowledged blocks.
    static let longestText = 16 << 10

    /// The longest script that fits an argument (Linux allows 128 KiB).
    static let longestArgument = 120 << 10

    static func exchanges(_ command: GuestCommand) throws(ConsoleError) -> [Exchange] {
        try command.check()
        var exchanges = (preparing(command).map { [$0] } ?? []) + lines(command)
        if command.input != nil { exchanges[exchanges.count - 1].text.insert(contentsOf: lendTerminal, at: 0) }
        return exchanges
    }

    /// A line that calls `v`, or for a long one the blocks of that line and an `eval` of them.
    private static func lines(_ command: GuestCommand) -> [Exchange] {
        let nonce = command.folder?.nonce ?? Nonce()
        let script = Array(command.script.utf8)
        if command.inSession {
            let text = Array("b \(nonce);{ ".utf8) + script + Array(";}<&8 6>&- 2>&1;a \(nonce)".utf8)
            return text.count > longestText
                ? blocks(of: text) + [exchange(Array("eval \"$__s\"".utf8), nonce)] : [exchange(text, nonce)]
        }
        let preparation = preparation(of: command)
        let options: String
        switch command.shell.start(command.script, called: command.name) {
        case .file(let start): return running(command, start, nonce)
        case .argument(let given): options = given
        }
        if command.user != nil || command.folder != nil {
            var command = command
            command.name = "script"
            return running(command, "exec /bin/sh \(options) '. {0}' sh", nonce)
        }
        if command.input == nil, let words = simpleCommand(script), words.count + preparation.count < longestText {
            let text = Array("b \(nonce);(".utf8) + preparation + words + Array(")\(input);a \(nonce)".utf8)
            return [exchange(text, nonce)]
        }
        var text = Array("v \(nonce) ".utf8)
        text += script.count > longestArgument ? Array("'. /proc/self/fd/9'".utf8) : quoted(script)
        let hasOptions = options != "-c"
        if hasOptions || !preparation.isEmpty { text += Array(" ".utf8) + quoted(preparation) }
        if hasOptions { text += Array(" \(options)".utf8) }
        if script.count > longestArgument {
            text += Array(" 9<<'\(nonce)'\n".utf8) + script + Array("\n\(nonce)".utf8)
        }
        guard text.count > longestText else { return [exchange(text, nonce)] }
        return blocks(of: text) + [exchange(Array("eval \"$__s\"".utf8), nonce)]
    }

    /// The resident shell writes a file and then runs `then`; `path` needs no quotes. The last exchange's status is 0 on success.
    static func writing(_ bytes: [UInt8], to path: String, then more: String? = nil) -> [Exchange] {
        let nonce = Nonce()
        let isLong = bytes.count > longestText
        let text = Array("printf %s ".utf8) + (isLong ? Array("\"$__s\"".utf8) : quoted(bytes))
        return (isLong ? blocks(of: bytes) : [])
            + [exchange(text + Array(" >\(path)\(more.map { "&&\($0)" } ?? "");a \(nonce)".utf8), nonce, begins: false)]
    }

    /// Statements of the script's process before it becomes the script's shell or program.
    static func preparation(of command: GuestCommand) -> [UInt8] {
        let folder = command.workingDirectory.map { entering($0) } ?? []
        return terminal(for: command) + folder + exports(of: command)
    }

    static func terminal(for command: GuestCommand) -> [UInt8] { command.input == nil ? [] : Array(terminal.utf8) }

    static func entering(_ directory: String) -> [UInt8] {
        Array("cd -- ".utf8) + quoted(Array(directory.utf8)) + Array("||exit;".utf8)
    }

    static func exports(of command: GuestCommand) -> [UInt8] {
        if command.environment.isEmpty { return [] }
        var text = Array("export".utf8)
        for (name, value) in command.environment {
            text += Array(" \(name)=".utf8) + quoted(Array(value.utf8))
        }
        return text + [UInt8(ascii: ";")]
    }

    /// `text` as one word of the shell. Control characters are the script's own matter, but Ctrl-C typed is a signal.
    static func quoted(_ text: [UInt8]) -> [UInt8] {
        if !text.isEmpty, text.count < 64, text.allSatisfy({ isWordByte($0) || plain.contains($0) }) { return text }
        let quote = UInt8(ascii: "'")
        var result: [UInt8] = [quote]
        result.reserveCapacity(text.count + text.count / 16 + 2)
        var rest = text[...]
        while let special = rest.firstIndex(where: { $0 == quote || $0 == 3 }) {
            result += rest[..<special]
            result += Array((rest[special] == quote ? #"'\''"# : #"'"$__c"'"#).utf8)
            rest = rest[(special + 1)...]
        }
        return result + rest + [quote]
    }

    private static let plain = Set("/.-:,+@%".utf8)

    /// The script, if it is one program's name and plain words. The forked process then becomes that program directly; another
    /// shell, which would do the same, costs an emulated guest as much as the program itself. (GNU make does this too.)
    private static func simpleCommand(_ script: [UInt8]) -> ArraySlice<UInt8>? {
        let equals = UInt8(ascii: "=")
        let blank = { (byte: UInt8) in byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\n") }
        guard let first = script.firstIndex(where: { !blank($0) }), let last = script.lastIndex(where: { !blank($0) })
        else { return nil }
        let words = script[first...last]
        guard words.allSatisfy({ isWordByte($0) || plain.contains($0) || $0 == UInt8(ascii: " ") || $0 == equals })
        else {
            return nil
        }
        let name = words.prefix { !blank($0) }
        return name.contains(equals) || needShell.contains(String(decoding: name, as: UTF8.self)) ? nil : words
    }

    /// Words that shells interpret themselves and that show or change the shell, and our own functions.
    private static let needShell = Set(
        """
        . : alias bg bind break builtin caller case chdir command compgen complete compopt continue coproc declare dirs \
        disown do done elif else enable esac eval exec export fc fg fi for function getopts hash help history if in jobs \
        kill let local logout mapfile popd pushd read readarray readonly return select set shift shopt source suspend \
        then time times trap type typeset ulimit unalias unset until wait while a b k n o v w x
        """.split(separator: " ").map(String.init))

    static func cleanUp() -> Exchange {
        let nonce = Nonce()
        return exchange(Array("k;a \(nonce)".utf8), nonce, begins: false)
    }

    /// Collects `text` in the shell's variable `__s`, block by block, each acknowledged before the next is typed.
    static func blocks(of text: [UInt8]) -> [Exchange] {
        var result: [Exchange] = []
        var rest = text[...]
        while !rest.isEmpty {
            var stop = min(rest.startIndex + longestText, rest.endIndex)
            // Characters stay whole, for shells that decode them.
            while stop < rest.endIndex, rest[stop] & 0xc0 == 0x80 { stop -= 1 }
            let nonce = Nonce()
            let line = Array((result.isEmpty ? "__s=" : "__s=$__s").utf8) + quoted(Array(rest[..<stop]))
            result.append(exchange(line + Array(";a \(nonce)".utf8), nonce, begins: false))
            rest = rest[stop...]
        }
        return result
    }

    /// What the resident shell prints at a command's end, before the status.
    static func endMarker(_ nonce: Nonce) -> [UInt8] { Array("\u{1e}\(nonce)-".utf8) }

    static func exchange(_ text: [UInt8], _ nonce: Nonce, begins: Bool = true) -> Exchange {
        Exchange(
            text: text + [UInt8(ascii: "\n")], begin: begins ? Array("\u{1e}\(nonce.description.prefix(8))+".utf8) : [],
            end: endMarker(nonce), isOutput: begins)
    }
}
