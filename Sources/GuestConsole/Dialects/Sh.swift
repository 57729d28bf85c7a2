extension Dialect {
    /// A POSIX shell (busybox ash, dash, bash) that announces itself, as vmlab's own Linux images do.
    public static let sh = Dialect(
        name: "sh",
        greeting: Array("\nVMLAB READY sh\n".utf8),
        setup: POSIXSession.setup,
        probe: POSIXShell.probe,
        exchanges: { command throws(ConsoleError) in try POSIXShell.exchanges(command) },
        interrupts: [[3], [3], [POSIXSession.forceKey]], cleanUp: POSIXShell.cleanUp,
        controlShell: { command throws(ConsoleError) in try POSIXShell.exchanges(command) })

    /// A POSIX shell behind a login prompt or none, on any Linux guest: `prompt` is a regular expression for its prompt.
    /// `reactions` answer earlier prompts, such as menus. `sharesConsole`: whether the kernel logs to the same port.
    ///
    /// At the prompt a shell without prompt, echo or line editing takes the terminal over and announces itself.
    public static func sh(
        prompt: String = #"[#$] $"#, user: String? = nil, password: String? = nil, reactions: [Reaction] = [],
        sharesConsole: Bool = false
    ) -> Dialect {
        func answer(_ text: String) -> Reaction.Action { .type(Array((text + "\n").utf8)) }
        var dialect = sh
        dialect.nudge = [10]
        dialect.reactions = reactions
        if let user { dialect.reactions.append(Reaction(#"login: *$"#, answer(user), times: 3, to: .login)) }
        if let password {
            // Not where the guest asks for a new password.
            let pattern = #"(?:^|\n)(?!.*(?:[Nn]ew|[Cc]urrent|UNIX) )[^\n]*[Pp]assword: *$"#
            dialect.reactions.append(Reaction(pattern, answer(password), times: 3, to: .password))
        }
        dialect.reactions.append(
            Reaction(prompt, .type(POSIXShell.takeover(sharingConsole: sharesConsole)), to: .shell))
        return dialect
    }
}
