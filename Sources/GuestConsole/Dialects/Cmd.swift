extension Dialect {
    /// cmd.exe behind the relay of vmlab's `wine` image: its own lines, and DLE lines for a POSIX shell beside it.
    ///
    /// A command is a batch file, written by the plumbing shell and run by a cmd.exe of its own. The resident one's
    /// `%ERRORLEVEL%` is the whole status, 32 bits.
    public static let cmd = Dialect(
        name: "cmd",
        greeting: Array("\nVMLAB READY cmd\n".utf8),
        setup: CmdShell.plumbed(POSIXShell.setup + Array("cd \"$WINEPREFIX/drive_c\";mkdir -p lab\n".utf8))
            + Array("@echo off\n".utf8),
        // The caret escapes a character that needs no escape, so the line does not contain what it prints.
        probe: { Array("echo \($0.halves.0)^\($0.halves.1)\n".utf8) },
        exchanges: { command throws(ConsoleError) in try CmdShell.exchanges(command) },
        interrupts: [[3], [3], CmdShell.plumbed(Array("vmlab-kill KILL\n".utf8))],
        plumbing: { command throws(ConsoleError) in
            try POSIXShell.exchanges(command).map { CmdShell.plumbed($0) }
        })
}

/// What is typed into cmd.exe, and into the POSIX shell that stands beside it.
enum CmdShell {
    static func exchanges(_ command: GuestCommand) throws(ConsoleError) -> [Exchange] {
        try command.check()
        let nonce = Nonce()
        let run = """
            echo \u{1e}\(nonce)^+
            cmd /c C:\\lab\\task.bat \(command.takesInput ? "" : "<NUL ")2>&1
            echo \u{1e}\(nonce)^-%ERRORLEVEL%

            """
        let begin = Array("\u{1e}\(nonce)+\r\n".utf8)
        return POSIXShell.writing(try batchFile(command), to: "lab/task.bat").map(plumbed) + [
            Exchange(text: Array(run.utf8), begin: begin, end: Array("\u{1e}\(nonce)-".utf8))
        ]
    }

    /// The command as a batch file: lines end in CR LF, and nothing is echoed.
    static func batchFile(_ command: GuestCommand) throws(ConsoleError) -> [UInt8] {
        var lines = ["@echo off"]
        for (name, value) in command.environment {
            if value.utf8.contains(where: { $0 == 10 || $0 == 13 }) {
                throw .unsupported("cmd.exe cannot hold a line break in an environment variable (`\(name)`)")
            }
            lines.append("set \"\(name)=\(value.replacing("%", with: "%%"))\"")
        }
        if let directory = command.workingDirectory {
            lines.append("cd /d \"\(directory.replacing("%", with: "%%"))\" || exit /b 1")
        }
        var result = Array((lines.joined(separator: "\r\n") + "\r\n").utf8)
        var rest = Array(command.script.utf8)[...]
        while let end = rest.firstIndex(of: 10) {
            result += rest[..<end]
            result += result.last == 13 ? [10] : [13, 10]
            rest = rest[(end + 1)...]
        }
        result += rest
        return rest.isEmpty ? result : result + [13, 10]
    }

    /// The same for the plumbing shell: every line of it begins with DLE.
    static func plumbed(_ exchange: Exchange) -> Exchange {
        var result = exchange
        result.text = plumbed(exchange.text)
        return result
    }

    static func plumbed(_ text: [UInt8]) -> [UInt8] {
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
