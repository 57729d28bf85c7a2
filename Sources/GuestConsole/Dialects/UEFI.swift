extension Dialect {
    /// The UEFI shell on a serial port, as in OVMF: prompt `Shell>`, a terminal that moves the cursor after every key.
    ///
    /// A script is typed line by line, and its status is `%lasterror%`. The output of a line is what comes between its
    /// echo and the next prompt, so it ends in that prompt's cursor movements. Variables stay set until the next reset.
    public static let uefi = Dialect(
        name: "uefi",
        greeting: nil,
        reactions: [Reaction(#"> $"#, .ready)],
        setup: [],
        // The caret escapes a character that needs no escape, so the line does not contain what it prints.
        probe: { Array("echo \($0.halves.0)^\($0.halves.1)\r".utf8) },
        exchanges: { command throws(ConsoleError) in try UEFIShell.exchanges(command) },
        interrupts: [[3], [3]])
}

enum UEFIShell {
    /// The cursor moves after each typed key; after the last one comes the line end.
    private static let endOfEcho = Array("H\r\n".utf8)
    /// Every prompt (`Shell> `, `FS0:\> `) ends so, and nothing else does.
    private static let endOfPrompt = Array("> \u{1b}[0m\u{1b}[37m\u{1b}[40m".utf8)

    static func exchanges(_ command: GuestCommand) throws(ConsoleError) -> [Exchange] {
        try command.check()
        var result: [Exchange] = []
        for (name, value) in command.environment {
            if value.utf8.contains(where: { $0 < 0x20 || $0 == UInt8(ascii: "\"") }) {
                throw .unsupported("the UEFI shell cannot hold this value of the environment variable `\(name)`")
            }
            result.append(line("set -v \(name) \"\(value)\"", isOutput: false))
        }
        if let directory = command.workingDirectory { result.append(line("cd \"\(directory)\"", isOutput: false)) }
        for text in command.script.split(whereSeparator: \.isNewline) { result.append(line(text, isOutput: true)) }
        result.append(Exchange(text: Array("echo %lasterror%\r".utf8), begin: [], end: endOfEcho, isOutput: false))
        return result
    }

    private static func line(_ text: some StringProtocol, isOutput: Bool) -> Exchange {
        Exchange(
            text: Array(text.utf8) + [13], begin: endOfEcho, end: endOfPrompt, isOutput: isOutput, hasStatus: false)
    }
}
