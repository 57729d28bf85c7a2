extension Dialect {
    /// A POSIX shell (busybox ash, dash, bash) that announces itself, as vmlab's own Linux images do.
    public static let sh = Dialect(
        name: "sh",
        greeting: Array("\nVMLAB READY sh\n".utf8),
        setup: POSIXShell.setup,
        probe: POSIXShell.probe,
        exchanges: { command throws(ConsoleError) in try POSIXShell.exchanges(command) },
        interrupts: [[3], [3], [3]],
        plumbing: { command throws(ConsoleError) in try POSIXShell.exchanges(command) })

    /// A POSIX shell behind a login prompt or none, on any Linux guest: `prompt` is a regular expression for its prompt.
    ///
    /// At the prompt a shell without prompt, echo or line editing takes the terminal over and announces itself.
    public static func sh(prompt: String = #"[#$] $"#, user: String? = nil, password: String? = nil) -> Dialect {
        var dialect = sh
        if let user { dialect.reactions.append(Reaction(#"login: *$"#, .type(Array((user + "\n").utf8)), times: 3)) }
        if let password {
            dialect.reactions.append(Reaction(#"[Pp]assword: *$"#, .type(Array((password + "\n").utf8)), times: 3))
        }
        dialect.reactions.append(Reaction(prompt, .type(POSIXShell.takeover)))
        return dialect
    }
}
