extension Dialect {
    /// Windows' Special Administration Console on COM1 (Server 2022, which sends a plain stream): opens a cmd.exe channel. Written
    /// from Microsoft's documentation and not run by vmlab's tests: there is no Windows among its images.
    public static func sac(user: String, password: String, domain: String = "") -> Dialect {
        func keys(_ text: String) -> Reaction.Action { .type(Array((text + "\r").utf8)) }
        return Dialect(
            name: "sac",
            greeting: nil,
            reactions: [
                Reaction(#"EVENT: +The CMD command is now available"#, keys("cmd")),
                Reaction(#"Channel: Cmd0001"#, keys("ch -si 1")),
                Reaction(#"Use any other key to view this channel"#, keys("")),
                Reaction(#"Username: *$"#, keys(user), times: 3),
                Reaction(#"Domain *: *$"#, keys(domain), times: 3),
                Reaction(#"Password: *$"#, keys(password), times: 3),
                Reaction(#"[A-Z]:\\[^>]*>$"#, .ready),
            ],
            setup: [],
            probe: { Array("echo \($0.halves.0)^\($0.halves.1)\r".utf8) },
            exchanges: { command throws(ConsoleError) in try SACShell.exchanges(command) },
            interrupts: [[3], [3]])
    }
}

/// Input for a cmd.exe that echoes, prompts, and has no control shell to write files.
enum SACShell {
    /// cmd.exe takes lines of 8191 characters; this many bytes make half of that in base 64.
    private static let blockSize = 3000

    /// The batch file goes over as base 64, which no shell finds special; `certutil` is part of every Windows.
    static func exchanges(_ command: GuestCommand) throws(ConsoleError) -> [Exchange] {
        try command.check()
        let batch = try CmdShell.batchFile(command)
        var result: [Exchange] = []
        for start in stride(from: 0, to: batch.count, by: blockSize) {
            let block = base64(batch[start..<min(start + blockSize, batch.count)])
            result.append(acknowledged(#"\#(start == 0 ? ">" : ">>")"%TEMP%\vmlab.b64" echo \#(block)"#))
        }
        result.append(acknowledged(#"certutil -f -decode "%TEMP%\vmlab.b64" "%TEMP%\vmlab.bat" >nul"#))
        let nonce = Nonce()
        let run = #"echo \#(nonce)^+& cmd /c "%TEMP%\vmlab.bat" <nul 2>&1& call echo \#(nonce)^-%^errorlevel%"#
        result.append(
            Exchange(
                text: Array((run + "\r").utf8), begin: Array("\(nonce)+\r\n".utf8), end: Array("\(nonce)-".utf8)))
        return result
    }

    private static func acknowledged(_ line: String) -> Exchange {
        let nonce = Nonce()
        return Exchange(
            text: Array("\(line)& call echo \(nonce)^-%^errorlevel%\r".utf8), begin: [], end: Array("\(nonce)-".utf8),
            isOutput: false)
    }
}

/// RFC 4648 base 64 with padding.
func base64(_ bytes: ArraySlice<UInt8>) -> String {
    let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    var result: [UInt8] = []
    var rest = bytes
    while !rest.isEmpty {
        let group = rest.prefix(3)
        rest = rest.dropFirst(3)
        let bits = group.reduce(0) { $0 << 8 | Int($1) } << (8 * (3 - group.count))
        for place in 0..<4 {
            result.append(place > group.count ? UInt8(ascii: "=") : digits[bits >> (18 - 6 * place) & 63])
        }
    }
    return String(decoding: result, as: UTF8.self)
}
