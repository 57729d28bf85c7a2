import Foundation
import Glibc
import GuestConsole
import Synchronization
import Testing

/// The real shells found here, in the guest's arrangement; or a guest that waits at its shell, by hand:
/// `VMLAB_TEST_CHANNEL=/path/of/com2 swift test --no-parallel --filter RealShellTests`.
let shells: [String] = {
    if let path = getenv("VMLAB_TEST_CHANNEL") { return [String(cString: path)] }
    return ["busybox sh", "dash", "bash"].filter {
        LocalShell.isInstalled(String($0.prefix { $0 != " " })) && LocalShell.isInstalled("busybox")
    }
}()

extension ContinuousClock.Instant {
    static func after(_ time: Duration) -> Self { .now + time }
}

/// Collects a command's output.
final class Output: Sendable {
    private let state = Mutex((bytes: [UInt8](), total: 0, largest: 0))
    var bytes: [UInt8] { state.withLock { $0.bytes } }
    var text: String { String(decoding: bytes, as: UTF8.self) }
    func append(_ piece: ArraySlice<UInt8>) { state.withLock { $0.bytes += piece } }
}

extension CommandSession {
    func run(_ script: String, _ environment: [(name: String, value: String)] = [], seconds: Int = 20) async throws -> (
        exit: Int32, output: [UInt8]
    ) {
        let output = Output()
        let result = try await run(
            GuestCommand(script, environment: environment), deadline: .after(.seconds(seconds))
        ) { output.append($0) }
        #expect(result.bytes == output.bytes.count)
        return (result.exit, output.bytes)
    }
}

func withShell(_ shell: String, _ body: (CommandSession) async throws -> Void) async throws {
    let isGuest = shell.hasPrefix("/")
    let channel: any ByteChannel = isGuest ? try DescriptorChannel(path: shell) : try LocalShell(shell)
    let session = CommandSession(channel: channel, dialect: .sh)
    defer { session.close() }
    try await session.open(atShell: isGuest, deadline: .after(.seconds(10)))
    try await body(session)
}

@Suite(.enabled(if: !shells.isEmpty, "busybox is not installed"), .timeLimit(.minutes(2)))
struct RealShellTests {
    @Test(arguments: shells) func outputIsExact(_ shell: String) async throws {
        try await withShell(shell) { session in
            for (script, expected) in [
                ("", ""), (":", ""), ("echo hello", "hello\n"), ("printf hello", "hello"),
                ("printf 'a\\r\\nb\\n\\n'", "a\r\nb\n\n"), ("echo out; echo err >&2", "out\nerr\n"),
                ("printf '\\000\\033[31m\\001\\036\\004'", "\0\u{1b}[31m\u{1}\u{1e}\u{4}"),
                ("echo \"it's \\$HOME & 100% `echo so` \"'\"'", "it's $HOME & 100% so \"\n"),
                ("echo ünïcödé 日本 🐧", "ünïcödé 日本 🐧\n"), ("for i in 1 2 3\ndo echo $i\ndone\n", "1\n2\n3\n"),
                ("cat <<EOF\na 'b' $((1+1))\nEOF\ncat <<'END'\n$x\nEND", "a 'b' 2\n$x\n"),
                ("printf '\u{3}\u{4}\u{1a}\u{11}\u{13}\u{1b}\u{7f}'", "\u{3}\u{4}\u{1a}\u{11}\u{13}\u{1b}\u{7f}"),
                ("cat; echo end", "end\n"), ("printf '\\nVMLAB READY sh\\n'; printf '# '", "\nVMLAB READY sh\n# "),
                ("# comment only", ""), ("echo a \\\n b", "a b\n"), ("echo $0", "sh\n"),
            ] {
                let (exit, output) = try await session.run(script)
                #expect(exit == 0, "\(script)")
                #expect(String(decoding: output, as: UTF8.self) == expected, "\(script)")
            }
            let invalid = try await session.run("printf '\\377\\376\\200\\303'")
            #expect(invalid.output == [0xff, 0xfe, 0x80, 0xc3])
        }
    }

    @Test(arguments: shells) func exitStatusIsExact(_ shell: String) async throws {
        try await withShell(shell) { session in
            for (script, status) in [
                ("exit 3", 3), ("false", 1), ("exit 255", 255), ("kill -9 $$", 137), ("kill -TERM $$", 143),
                ("kill -SEGV $$", 139), ("no-such-program", 127), ("(exit 7)", 7), ("set -e; false; echo no", 1),
                ("trap 'exit 9' EXIT", 9), ("if", 2), ("echo 'unterminated", 2), ("exec false", 1),
            ] as [(String, Int32)] {
                let (exit, output) = try await session.run(script)
                #expect(exit == status, "\(script)")
                if script.hasPrefix("kill") { #expect(output.isEmpty, "\(script): \(output)") }
            }
        }
    }

    @Test(arguments: shells) func nothingLeaksIntoTheNextCommand(_ shell: String) async throws {
        try await withShell(shell) { session in
            let home = try await session.run("pwd")
            _ = try await session.run(
                "cd /usr; x=1; export y=2; set -e; trap '' INT TERM; umask 0; v() { :; }; a=1; set -f")
            let after = try await session.run("pwd; echo $x$y; trap; umask")
            #expect(after.output == home.output + Array("\n0022\n".utf8))
        }
    }

    @Test(arguments: shells) func environmentIsTheCommandsOwn(_ shell: String) async throws {
        try await withShell(shell) { session in
            let values = [
                "plain", "", "it's", "two\nlines\n", "$HOME `x` \\ \"q\" 100%", "ünï", "\u{3}\u{1b}", "-n", "*",
            ]
            for value in values {
                let (exit, output) = try await session.run("printf %s \"$A_1\"; exit $B", [("B", "4"), ("A_1", value)])
                #expect(exit == 4)
                #expect(String(decoding: output, as: UTF8.self) == value)
            }
            let output = try await session.run("env | grep -c '^A_1='").output
            #expect(output == Array("0\n".utf8))
            let many = (1...50).map { (name: "N\($0)", value: String(repeating: "x", count: 1000)) }
            let counted = try await session.run("env | grep -c '^N[0-9]*=x*$'", many).output
            #expect(counted == Array("50\n".utf8))
        }
    }

    /// What the session's own shell runs stays in it, is framed like any command, and leaves it its input.
    @Test(arguments: shells) func inSession(_ shell: String) async throws {
        try await withShell(shell) { session in
            let output = Output()
            for (script, status) in [
                ("kept=value; echo out; echo err >&2; read x || (exit 7)", 7),
                ("if [ $kept = value ];then echo it is;else no-such-program;fi", 0),
                ("no-such-program 2>/dev/null", 127), (": \(String(repeating: "x", count: 40_000)); (exit 3)", 3),
            ] as [(String, Int32)] {
                let command = GuestCommand(script, inSession: true)
                let result = try await session.run(command, deadline: .after(.seconds(20))) { output.append($0) }
                #expect(result.exit == status, "\(script.prefix(80))")
            }
            #expect(output.text == "out\nerr\nit is\n")
            #expect(try await session.run("echo [$kept]").output == Array("[]\n".utf8))
        }
    }

    /// One program and plain words need no second shell, which must make no difference.
    @Test(arguments: shells) func plainCommandsLeaveNothingBehind(_ shell: String) async throws {
        try await withShell(shell) { session in
            // Our own functions' names are nobody's programs; words of the shell's own go to a shell of their own.
            for (script, status) in [
                ("exit 7", 7), ("cd /usr", 0), ("umask 0777", 0), ("cat", 0), ("exec true", 0), ("A=1", 0),
                ("a x", 127),
                ("b x", 127), ("v x", 127), ("  true  \n", 0), ("trap", 0),
            ] as [(String, Int32)] {
                let (exit, output) = try await session.run(script)
                #expect(exit == status, "\(script)")
                #expect(output.isEmpty || status == 127, "\(script)")
            }
            let mask = try await session.run("umask").output
            #expect(mask != Array("0777\n".utf8))
            let directory = try await session.run("pwd").output
            #expect(directory != Array("/usr\n".utf8))
            let variables = try await session.run("env", [("A_B", "it's = $1")]).output
            #expect(String(decoding: variables, as: UTF8.self).contains("A_B=it's = $1\n"))
        }
    }

    @Test(arguments: shells) func workingDirectoryIsTheCommandsOwn(_ shell: String) async throws {
        try await withShell(shell) { session in
            let output = Output()
            let deadline = ContinuousClock.Instant.after(.seconds(10))
            _ = try await session.run(GuestCommand("pwd", workingDirectory: "/usr"), deadline: deadline) {
                output.append($0)
            }
            #expect(output.text == "/usr\n")
            await #expect(throws: ConsoleError.refused(.noFolder("/no such'", user: nil))) {
                _ = try await session.run(GuestCommand("echo no", workingDirectory: "/no such'"), deadline: deadline)
            }
        }
    }

    @Test(arguments: shells) func tenMegabytesStreamThrough(_ shell: String) async throws {
        try await withShell(shell) { session in
            let script = "yes 'a line that repeats' | head -c 10485760; head -c 1048576 /dev/zero | tr '\\0' x"
            let seen = Mutex((count: 0, largest: 0))
            let result = try await session.run(GuestCommand(script), deadline: .after(.seconds(60))) { piece in
                seen.withLock { $0 = ($0.count + piece.count, max($0.largest, piece.count)) }
            }
            #expect(result.exit == 0)
            #expect(seen.withLock { $0.count } == 11 << 20)
            #expect(seen.withLock { $0.largest } <= 70_000)
        }
    }

    @Test(arguments: shells) func longScripts(_ shell: String) async throws {
        try await withShell(shell) { session in
            for size in [1_000, 20_000, 110_000, 130_000, 1 << 20] {
                let line = "# it's a line with ünïcödé, a quote ' and \u{3}\n"
                let filler = String(repeating: line, count: size / line.utf8.count)
                let (exit, output) = try await session.run(
                    "echo begin\n\(filler)printf 'e\u{3}nd'; exit 5", seconds: 60)
                #expect(exit == 5, "\(size)")
                #expect(output == Array("begin\ne\u{3}nd".utf8), "\(size)")
            }
        }
    }

    @Test(arguments: shells) func interruptFreesTheShell(_ shell: String) async throws {
        try await withShell(shell) { session in
            for script in ["sleep 100", "sleep 100; sleep 100; echo no", "while :; do :; done", "yes"] {
                await #expect(throws: ConsoleError.deadline) {
                    _ = try await session.run(GuestCommand(script), deadline: .after(.milliseconds(150)))
                }
                await #expect(throws: ConsoleError.busy) {
                    _ = try await session.run(GuestCommand("echo"), deadline: .after(.seconds(1)))
                }
                #expect(await session.interrupt(grace: .seconds(30)), "\(script)")
                let output = try await session.run("echo alive").output
                #expect(output == Array("alive\n".utf8), "\(script)")
            }
            await #expect(throws: ConsoleError.silence) {
                _ = try await session.run(
                    GuestCommand("sleep 100"), deadline: .after(.seconds(50)), silence: .milliseconds(100))
            }
            #expect(await session.interrupt(grace: .seconds(30)))
            await #expect(throws: ConsoleError.deadline) {
                _ = try await session.run(GuestCommand("trap '' INT; sleep 1000"), deadline: .after(.milliseconds(100)))
            }
            #expect(await session.interrupt(grace: .seconds(60), step: .milliseconds(200)))
        }
    }

    @Test("A11: what ignores Ctrl-C is killed with all that it started, and the shell goes on", arguments: shells)
    func stubbornCommandsAreKilled(_ shell: String) async throws {
        let mark = "A11=\(UUID())"
        try await withShell(shell) { session in
            for script in [
                "trap '' INT; sleep 1001", "kill -STOP $$", "trap '' INT TERM HUP TSTP; while :; do :; done",
                "kill -STOP $PPID; sleep 1001", "sleep 1001 & nohup sleep 1001 & sleep 1001",
                "setsid sh -c 'sleep 1001; :'; :", "sh -c 'trap \"\" INT; sleep 1001; sleep 1001' | cat; sleep 1001",
                "(trap '' INT; sleep 1001; :) & sleep 1001", "(sleep 1001; echo late) & echo early; sleep 1001",
            ] {
                let marked = "\(mark); export A11\n" + script
                await #expect(throws: ConsoleError.deadline) {
                    _ = try await session.run(GuestCommand(marked), deadline: .after(.milliseconds(300)))
                }
                #expect(await session.interrupt(grace: .seconds(60), step: .milliseconds(200)), "\(script)")
                #expect(try await session.run("echo alive").output == Array("alive\n".utf8), "\(script)")
                // Who is killed is gone a moment later.
                let look = "grep -l \(mark) /proc/[0-9]*/environ 2>/dev/null"
                let left = try await session.run(
                    "for i in 1 2 3 4 5 6 7 8 9; do \(look) >/dev/null || exit 0; sleep 0.2; done; \(look); exit 0")
                #expect(left.output.isEmpty, "\(script): \(String(decoding: left.output, as: UTF8.self))")
            }
        }
    }

    @Test("A11: what earlier commands left in the background outlives a later one's end", arguments: shells)
    func othersAreSpared(_ shell: String) async throws {
        try await withShell(shell) { session in
            let started = try await session.run("sleep 1001 >/dev/null 2>&1 & echo $!")
            let process = String(decoding: started.output, as: UTF8.self)
            await #expect(throws: ConsoleError.deadline) {
                _ = try await session.run(GuestCommand("trap '' INT; sleep 1001"), deadline: .after(.milliseconds(200)))
            }
            #expect(await session.interrupt(grace: .seconds(60), step: .milliseconds(200)))
            #expect(try await session.run("kill \(process)").exit == 0)
        }
    }

    @Test("A8: late output is nobody else's", arguments: shells)
    func lateOutput(_ shell: String) async throws {
        try await withShell(shell) { session in
            for script in [
                "(sleep 0.2; echo RESULT: PASS) & echo started",
                "(sleep 0.2; echo RESULT: PASS; sleep 0.2; echo RESULT: PASS; exec sleep 1) & echo started",
                "(trap '' PIPE; while :; do echo RESULT: PASS; sleep 0.01; done) & echo started; sleep 0.1 & exit 0",
                "setsid sh -c 'sleep 0.2; echo RESULT: PASS' & echo started", "yes RESULT: PASS & echo started",
            ] {
                let first = try await session.run(script)
                #expect(
                    first.output.starts(with: Array("started\n".utf8)) || script.contains("while")
                        || script.contains("yes"))
                let second = try await session.run("sleep 0.5; echo two")
                #expect(second.output == Array("two\n".utf8), "\(script)")
                #expect(try await session.run("printf three").output == Array("three".utf8), "\(script)")
            }
        }
    }

    @Test(arguments: shells) func aDeadShellGreetsAgain(_ shell: String) async throws {
        try await withShell(shell) { session in
            await #expect(throws: ConsoleError.greetedAgain) {
                _ = try await session.run(GuestCommand("echo some; kill -9 $PPID"), deadline: .after(.seconds(10)))
            }
            await #expect(throws: ConsoleError.greetedAgain) {
                _ = try await session.run(GuestCommand("echo"), deadline: .after(.seconds(10)))
            }
            try await session.open(deadline: .after(.seconds(10)))
            let output = try await session.run("echo back").output
            #expect(output == Array("back\n".utf8))
        }
    }
}
