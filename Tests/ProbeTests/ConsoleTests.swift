import GuestConsole
import Synchronization
import Testing

/// The probe against those who will type to it: vmlab's own console sessions.
@Suite("The probe's consoles as GuestConsole speaks to them")
struct ProbeConsoleTests {
    /// Runs one command in a session of its own, behind others whose results are nobody's business.
    private func run(
        _ script: String, environment: [(name: String, value: String)] = [], after others: [String] = [],
        _ language: Shell<FakeMachine>.Language
    ) async throws -> (status: Int32, output: String) {
        let session = CommandSession(channel: ProbeChannel(language), dialect: language == .cmd ? .cmd : .sh)
        defer { session.close() }
        let deadline = ContinuousClock.now + .seconds(30)
        try await session.open(deadline: deadline)
        for other in others { _ = try await session.run(GuestCommand(other), deadline: deadline) { _ in } }
        let output = Mutex<[UInt8]>([])
        let result = try await session.run(
            GuestCommand(script, environment: environment), deadline: deadline
        ) { bytes in
            output.withLock { $0 += bytes }
        }
        return (result.exit, output.withLock { String(decoding: $0, as: UTF8.self) })
    }

    @Test("a simple command, a script and their environment arrive whole, and the status is exact")
    func posix() async throws {
        let hello = try await run("echo hello", .sh)
        #expect(hello == (0, "hello\n"))
        let awkward = "it's \"a\" $HOME & `b`"
        let script = try await run(
            "echo \"$A\"; echo '$A'\nnosuch || (exit 3)", environment: [("A", awkward)], .sh)
        #expect(script == (3, "\(awkward)\n$A\nsh: nosuch: not found\n"))
    }

    @Test("a script longer than one exchange, and one longer than an argument, are taken in")
    func long() async throws {
        let line = "echo 0123456789012345678901234567890123456789\n"
        for count in [1000, 4000] {
            let result = try await run(String(repeating: line, count: count) + "exit 9", .sh)
            #expect(result.status == 9)
            #expect(result.output.utf8.count == 41 * count)
        }
    }

    @Test("a batch file arrives with its environment, and its status is 32 bits")
    func batch() async throws {
        let result = try await run(
            "echo %A% and %VMLAB_TASK%\necho 100%%\nexit /b -1073741819",
            environment: [("A", "100% of it"), ("VMLAB_TASK", "t")], .cmd)
        #expect(result == (-1_073_741_819, "100% of it and t\r\n100%\r\n"))
        let unknown = try await run("nosuch.exe", .cmd)
        #expect(unknown.status == 9009)
        #expect(unknown.output.hasPrefix("'nosuch.exe' is not recognized as an internal or external command,\r\n"))
    }

    @Test("no command inherits the status of the one before", arguments: [Shell<FakeMachine>.Language.sh, .cmd])
    func fresh(language: Shell<FakeMachine>.Language) async throws {
        #expect(try await run("exit", after: ["exit 3"], language).status == 0)
        #expect(try await run("set A=1\nset A", after: ["fault"], language).status == 0)
    }

    @Test("what ends the resident shell brings a new one")
    func restart() async throws {
        for language in [Shell<FakeMachine>.Language.sh, .cmd] {
            let result = try await run("exit 4", language)
            #expect(result.status == 4)
        }
        let machine = FakeMachine()
        let session = Session(machine, .sh)
        for byte in "exit\n".utf8 { session.take(byte) }
        #expect(string(machine.takeSaid()) == "\nVMLAB READY sh\n")
    }
}
