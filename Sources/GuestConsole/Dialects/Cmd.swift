extension Dialect {
    /// cmd.exe behind the relay of vmlab's `wine` image: its own lines, and DLE lines for a POSIX shell beside it.
    ///
    /// A command is a batch file, written by the control shell and run by a cmd.exe of its own. The resident one's
    /// `%ERRORLEVEL%` is the whole status, 32 bits.
    public static let cmd = Dialect(
        name: "cmd",
        greeting: Array("\nVMLAB READY cmd\n".utf8),
        setup: CmdShell.controlSetup + Array("@echo off\n".utf8),
        // The caret escapes a character that needs no escape, so the line does not contain what it prints.
        probe: { Array("echo \($0.halves.0)^\($0.halves.1)\n".utf8) },
        exchanges: { command throws(ConsoleError) in try CmdShell.exchanges(command) },
        // Programs that read text treat Ctrl-Z as its end, wherever it stands.
        endOfInput: { _ in [0x1a, 10] },
        complaints: BatchLabels.complaints,
        interrupts: [[3], [3], CmdShell.control(Array("vmlab-kill KILL\n".utf8))],
        cleanUp: CmdShell.cleanUp, renewed: CmdShell.renewed,
        controlShell: { command throws(ConsoleError) in
            try POSIXShell.exchanges(command).map { CmdShell.control($0) }
        },
        setting: CmdShell.setting,
        prewarmed: PrewarmedShell(
            exchanges: { CmdShell.prewarmed() },
            opening: { CmdShell.controlSetup + CmdShell.control(POSIXShell.probe($0)) },
            command: { command, variables throws(ConsoleError) in try CmdShell.release(command, variables) }))
}

/// Input for cmd.exe, and for the POSIX control shell next to it.
enum CmdShell {
    static func exchanges(_ command: GuestCommand) throws(ConsoleError) -> [Exchange] {
        try command.check()
        let nonce = Nonce()
        var run = """
            echo \u{1e}\(nonce)^+
            cmd /c C:\\lab\\task.bat \(command.input == nil ? "<\(command.folder?.input ?? "NUL") " : "")2>&1
            echo \u{1e}\(nonce)^-%ERRORLEVEL%

            """
        var writing = POSIXShell.writing(try batchFile(command), to: "lab/task.bat").map(control)
        if command.input != nil {
            // If typed, the last line would be the command's input. Unread input ends with this cmd.exe.
            let file = Array(run.replacing("\n", with: "\r\n").utf8)
            writing += POSIXShell.writing(file, to: "lab/input.bat", then: "__j=1").map(control)
            run = "C:\\lab\\input.bat\n"
        }
        let begin = Array("\u{1e}\(nonce)+\r\n".utf8)
        let look = command.workingDirectory.map { [looking(for: $0)] } ?? []
        return [renewal()] + look + writing + [
            Exchange(text: Array(run.utf8), begin: begin, end: Array("\u{1e}\(nonce)-".utf8))
        ]
    }

    static let controlSetup = control(
        POSIXSession.setup.dropLast()
            + Array(";\(look)\ncd \"$WINEPREFIX/drive_c\";[ -d lab ]||mkdir lab\n".utf8))

    /// Defines `r`: where programs are left that earlier commands started (`start /b`), and that hold the pipe of the session's
    /// cmd.exe, that is killed for another one with a pipe of its own. Wine's programs are children of process 1, whose list it
    /// compares with the last one before it starts any process to look closer. Where `__j` is set that cmd.exe is killed anyway.
    private static let look =
        "r(){ read -r __l </proc/1/task/1/children;[ \"$__l$__j\" = \"$__k\" ]&&return;__k=$__l;"
        + "set -- $(vmlab-kill list);__n=$__j;__j=;"
        + "for __p;do case \" $__v \" in *\" $__p \"*);;*)__n=1;;esac;done;__v=\"$*\";"
        + "[ ! $__n ]||{ vmlab-kill session;return \(renewed);};}"

    /// The control shell's status when it has had the session's cmd.exe replaced.
    static let renewed: Int32 = 75

    /// Looks for a folder, without a process: refused where there is none.
    private static func looking(for folder: String) -> Exchange {
        let nonce = Nonce()
        var exchange = Exchange(
            text: Array("if exist \"\(folder)\\\" (echo \u{1e}\(nonce)^-0) else (echo \u{1e}\(nonce)^-83)\n".utf8),
            begin: [], end: Array("\u{1e}\(nonce)-".utf8), isOutput: false)
        exchange.refusals = [83: .noFolder(folder, user: nil)]
        return exchange
    }

    private static func renewal() -> Exchange {
        let nonce = Nonce()
        return Exchange(
            text: control(Array("r;a \(nonce)\n".utf8)), begin: [], end: Array("\u{1e}\(nonce)-".utf8), isOutput: false)
    }

    static let setting: @Sendable ([(name: String, value: String)]) -> [UInt8] = { variables in
        Array((variables.map { "set \"\($0.name)=\($0.value)\"" }.joined(separator: "&") + "\n").utf8)
    }

    static func cleanUp() -> Exchange {
        let nonce = Nonce()
        let text = Array("vmlab-kill KILL;a \(nonce)\n".utf8)
        return Exchange(text: control(text), begin: [], end: Array("\u{1e}\(nonce)-".utf8), isOutput: false)
    }

    /// Starts the cmd.exe of the next command, which waits for a line of the session's, its begin marker. To start it takes
    /// half a second in emulation, of which a fresh clone of this guest is then spared all but a tenth.
    static func prewarmed() -> [Exchange] {
        let nonce = Nonce()
        let batch = """
            @echo \u{1e}\(nonce)^-0\r
            @set /p VMLAB=\r
            @echo %VMLAB%\r
            @set VMLAB=\r
            @C:\\lab\\task.bat <NUL\r

            """
        return POSIXShell.writing(Array(batch.utf8), to: "lab/wait.bat").map(control) + [
            Exchange(
                text: Array("cmd /c C:\\lab\\wait.bat 2>&1\n".utf8), begin: [], end: Array("\u{1e}\(nonce)-".utf8),
                isOutput: false)
        ]
    }

    /// Runs a command in the waiting cmd.exe, which has the variables of its start.
    static func release(
        _ command: GuestCommand, _ variables: [(name: String, value: String)]
    ) throws(ConsoleError) -> [Exchange] {
        // Its input is empty and its folder the session's, which does not fit every command.
        var command = command
        let needsMore = command.input != nil || command.folder != nil || command.workingDirectory != nil
        let rest = needsMore ? try exchanges(command) : []
        if needsMore { command = GuestCommand("") }
        try command.check()
        command.environment = variables + command.environment
        let nonce = Nonce()
        let text = Array("\u{1e}\(nonce)+\necho \u{1e}\(nonce)^-%ERRORLEVEL%\n".utf8)
        var run = Exchange(
            text: text + (variables.isEmpty ? [] : setting(variables)), begin: Array("\u{1e}\(nonce)+\r\n".utf8),
            end: Array("\u{1e}\(nonce)-".utf8), isOutput: rest.isEmpty)
        run.usesPrewarmed = true
        return POSIXShell.writing(try batchFile(command), to: "lab/task.bat").map(control) + [run] + rest
    }

    /// The command as a batch file: lines end in CR LF, and nothing is echoed.
    static func batchFile(_ command: GuestCommand) throws(ConsoleError) -> [UInt8] {
        // Commands of vmlab itself name no shell.
        if command.shell != .plain, case .named(let shell) = command.shell, shell != "cmd" {
            throw .unsupported("a guest with cmd.exe runs its scripts with cmd.exe, not with `\(shell)`")
        }
        if command.user != nil { throw .unsupported("a guest with cmd.exe runs its commands as its one user") }
        if command.folder?.errorLimit != nil {
            throw .unsupported("a guest with cmd.exe cannot keep standard error apart from the output")
        }
        var lines = ["@echo off"]
        for (name, value) in command.environment {
            if value.utf8.contains(where: { $0 == 10 || $0 == 13 }) {
                throw .unsupported("cmd.exe cannot hold a line break in an environment variable (`\(name)`)")
            }
            lines.append("set \"\(name)=\(value.replacing("%", with: "%%"))\"")
        }
        if let directory = command.workingDirectory {
            let name = directory.replacing("%", with: "%%")
            // Wine runs what follows `||` after a `cd` that succeeds, too.
            lines += [#"if not exist "\#(name)\" exit /b 1"#, #"cd /d "\#(name)""#]
        }
        var result = Array((lines.joined(separator: "\r\n") + "\r\n").utf8)
        var rest = Array(command.script.utf8)[...]
        while let end = rest.firstIndex(of: 10) {
            result += rest[..<end]
            result += result.last == 13 ? [10] : [13, 10]
            rest = rest[(end + 1)...]
        }
        result += rest
        if !rest.isEmpty { result += [13, 10] }
        return result + Array(BatchLabels.missing(in: command.script).utf8)
    }

    /// The exchange for the control shell: each line of its text begins with DLE.
    static func control(_ exchange: Exchange) -> Exchange {
        var result = exchange
        result.text = control(exchange.text)
        return result
    }

    static func control(_ text: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        var rest = text[...]
        while !rest.isEmpty {
            let end = rest.firstIndex(of: 10).map { $0 + 1 } ?? rest.endIndex
            result.append(0x10)
            result += rest[..<end]
            rest = rest[end...]
        }
        return result
    }
}
