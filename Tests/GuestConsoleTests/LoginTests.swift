import GuestConsole
import LabTestSupport
import Testing

/// Guests that do not announce themselves: a login, an interactive shell with echo and line editing, a prompt.
@Suite(.enabled(if: LocalShell.isInstalled("busybox"), "busybox is not installed"), .timeLimit(.minutes(1)))
struct LoginTests {
    /// A getty's manners on the terminal `$1`, then the interactive shell `$2`. The first answer comes too early.
    private static let getty = """
        exec < $1 > $1 2>&1
        cd /
        stty sane
        echo 'Debian GNU/Linux 12 guest ttyS0'
        tries=0
        while :; do
            printf '\\nguest login: '
            read user
            printf 'Password: '
            stty -echo
            read password
            stty echo
            tries=$((tries + 1))
            [ "$tries$user$password" = "2rootit's" ] && break
            printf '\\nSystem is booting up. Unprivileged users are not permitted to log in yet.\\n'
            printf '\\nLogin incorrect\\n'
        done
        printf '\\nLast login: Mon Jan  1 00:00:00 on ttyS0\\n\\033[?2004h'
        PS1=$(printf '\\033[1mroot@guest:/# \\033[0m') exec $2
        """

    @Test(arguments: ["bash --norc --noprofile -i", "busybox sh -i", "dash -i"])
    func logsInAndTakesTheShellOver(_ shell: String) async throws {
        let terminal = try LocalShell(shell, arrangement: Self.getty)
        let session = CommandSession(channel: terminal, dialect: .sh(user: "root", password: "it's"))
        defer { session.close() }
        try await session.open(deadline: .after(.seconds(60)))
        let (exit, output) = try await session.run("test -t 1 || printf 'a\\n\\tb'; exit 6")
        #expect(exit == 6)
        #expect(String(decoding: output, as: UTF8.self) == "a\n\tb")
        await #expect(throws: ConsoleError.deadline) {
            _ = try await session.run(GuestCommand("sleep 100"), deadline: .after(.milliseconds(200)))
        }
        #expect(await session.interrupt(grace: .seconds(60)))
        let (_, long) = try await session.run(
            String(repeating: "# it's filler\n", count: 3000) + "echo $LONG", [("LONG", "x")])
        #expect(String(decoding: long, as: UTF8.self) == "x\n")
    }

    @Test("A12: a refused login is told at once, and the password is not tried again")
    func aRefusedLoginIsToldAtOnce() async throws {
        let guest = ScriptedGuest()
        let session = CommandSession(channel: guest, dialect: .sh(user: "root", password: "wrong"))
        let opening = Task { try await session.open(deadline: .after(.seconds(60))) }
        guest.say("host login: ")
        #expect(try await guest.receive(until: "\n") == "root\n")
        guest.say("root\r\nPassword: ")
        #expect(try await guest.receive(until: "\n") == "wrong\n")
        guest.say("\r\nLogin incorrect\r\nhost login: ")
        let error = await #expect(throws: ConsoleError.self) { try await opening.value }
        #expect(error?.diagnostic.message.contains("refused the login") == true)
    }

    @Test func aLoginThatIsAskedForAgainAndAgainDoesNotGoRoundForEver() async throws {
        let guest = ScriptedGuest()
        let session = CommandSession(channel: guest, dialect: .sh(user: "root", password: "wrong"))
        let opening = Task { try await session.open(patience: .milliseconds(200), deadline: .after(.seconds(60))) }
        for _ in 0..<3 {
            guest.say("host login: ")
            #expect(try await guest.receive(until: "\n") == "root\n")
            guest.say("root\r\nPassword: ")
            #expect(try await guest.receive(until: "\n") == "wrong\n")
        }
        guest.say("host login: ")
        // Once more, as the last answer may have been lost.
        #expect(try await guest.receive(until: "\n") == "root\n")
        guest.say("root\r\nhost login: ")
        let error = await #expect(throws: ConsoleError.self) { try await opening.value }
        #expect(error?.diagnostic.message.contains("keeps asking") == true)
    }

    @Test("A2: a prompt whose pattern takes for ever fails the boot at once, and by name")
    func slowPattern() async throws {
        let guest = ScriptedGuest()
        let session = CommandSession(channel: guest, dialect: .sh(prompt: "(x+x+)+y"))
        guest.say(String(repeating: "x", count: 200) + " y\r\n")
        let error = await #expect(throws: ConsoleError.self) { try await session.open(deadline: .after(.seconds(50))) }
        #expect(error?.diagnostic.message.contains("/(x+x+)+y/") == true)
    }
}
