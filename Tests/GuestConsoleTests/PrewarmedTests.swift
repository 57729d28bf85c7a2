import GuestConsole
import LabTestSupport
import Synchronization
import Testing

/// A cmd.exe that has a command waiting, played.
@Suite(.timeLimit(.minutes(1)))
final class PrewarmedTests: Sendable {
    private let guest = ScriptedGuest()
    private let session: CommandSession
    private let typed = Mutex("")

    init() { session = CommandSession(channel: guest, dialect: .cmd) }

    /// What was typed next, up to and with `text`.
    private func receive(until text: String) async throws -> String {
        while true {
            let found: String? = typed.withLock { typed in
                guard let range = typed.utf8Range(of: text) else { return nil }
                defer { typed = String(decoding: typed.utf8.dropFirst(range.upperBound), as: UTF8.self) }
                return String(decoding: typed.utf8.prefix(range.upperBound), as: UTF8.self)
            }
            if let found { return found }
            let more = try await guest.receive(until: "\n")
            typed.withLock { $0 += more }
        }
    }

    /// Opens the session of a guest restored with a waiting command.
    private func open(setting variables: [(name: String, value: String)] = []) async throws {
        async let opened: Void = session.open(
            atShell: true, prewarmed: true, setting: variables, deadline: .after(.seconds(30)))
        let typed = try await receive(until: "printf %s%s ")
        // cmd.exe would take any line for the one that it waits for.
        #expect(typed.split(separator: "\n").allSatisfy { $0.hasPrefix("\u{10}") })
        guest.say(try await receive(until: "\n").split(separator: " ").joined().filter { $0 != "\n" })
        try await opened
        #expect(session.isPrewarmed)
    }

    /// Says that the control shell has written a file, and returns what was typed for that.
    private func answerWriting() async throws -> String {
        let typed = try await receive(until: ">lab/task.bat;a ")
        let nonce = try await receive(until: "\n").dropLast()
        guest.say("\u{1e}\(nonce)-0\n")
        return typed
    }

    /// Answers whether programs of earlier commands hold the session's pipe.
    private func answerLook(_ status: Int32 = 0) async throws {
        _ = try await receive(until: "\u{10}r;a ")
        guest.say("\u{1e}\(try await receive(until: "\n").dropLast())-\(status)\n")
    }

    private func nonce(_ line: String) -> String { String(line.filter { $0.isHexDigit }) }

    @Test func theCommandIsLetGoAndTheNextOneIsStarted() async throws {
        try await open(setting: [("COMPUTERNAME", "WEB1"), ("B", "2")])
        async let first = session.run("echo hi", [("A", "1")])
        let batch = try await answerWriting()
        #expect(batch.contains("set \"COMPUTERNAME=WEB1\"\r\n\u{10}set \"B=2\"\r\n\u{10}set \"A=1\"\r\n\u{10}echo hi"))
        let begin = nonce(try await receive(until: "+\n"))
        #expect(try await receive(until: "\n") == "echo \u{1e}\(begin)^-%ERRORLEVEL%\n")
        // For whatever the session starts after it.
        #expect(try await receive(until: "\n") == "set \"COMPUTERNAME=WEB1\"&set \"B=2\"\n")
        guest.say("\u{1e}\(begin)+\r\nhi\r\n\u{1e}\(begin)--5\r\n")
        let (exit, output) = try await first
        #expect(exit == -5 && output == Array("hi\r\n".utf8))
        #expect(!session.isPrewarmed)

        async let second = session.run("ver")
        try await answerLook()
        #expect(try await !answerWriting().contains("COMPUTERNAME"))
        let next = nonce(String(try await receive(until: "^+\n").dropFirst("echo ".count)))
        #expect(try await receive(until: "\n") == "cmd /c C:\\lab\\task.bat <NUL 2>&1\n")
        guest.say("\u{1e}\(next)+\r\n\u{1e}\(next)-0\r\n")
        #expect(try await second.exit == 0)
    }

    @Test func aCommandThatTakesInputDoesNotUseIt() async throws {
        try await open()
        async let result = session.run(GuestCommand("set /p X=", input: CommandInput()), deadline: .after(.seconds(30)))
        #expect(try await answerWriting().contains("'@echo off\r\n"))
        let waiting = nonce(try await receive(until: "+\n"))
        guest.say("\u{1e}\(waiting)+\r\n\u{1e}\(waiting)-0\r\n")
        try await answerLook()
        #expect(try await answerWriting().contains("set /p X="))
        // A file, for of lines that are typed the command would read the last.
        _ = try await receive(until: "printf %s 'echo ")
        let begin = nonce(try await receive(until: "^+\r\n"))
        #expect(try await receive(until: "\n") == "\u{10}cmd /c C:\\lab\\task.bat 2>&1\r\n")
        _ = try await receive(until: ">lab/input.bat&&__j=1;a ")
        guest.say("\u{1e}\(try await receive(until: "\n").dropLast())-0\n")
        #expect(try await receive(until: "\n") == "C:\\lab\\input.bat\n")
        guest.say("\u{1e}\(begin)+\r\n\u{1e}\(begin)-4\r\n")
        #expect(try await result.exit == 4)
    }

    @Test(
        "a command that fails of a label which is nowhere has failed, though cmd.exe says that it has not",
        arguments: [
            ("hi\r\nTarget to GOTO not found\r\n", 1), ("Argument missing\r\n", 1),
            ("Target to GOTO not found\r\nhi\r\n", 0),
        ] as [(String, Int32)])
    func aComplaintIsAFailure(said: String, status: Int32) async throws {
        try await open()
        async let result = session.run("goto %X%")
        _ = try await answerWriting()
        let begin = nonce(try await receive(until: "+\n"))
        guest.say("\u{1e}\(begin)+\r\n\(said)\u{1e}\(begin)-0\r\n")
        #expect(try await result.exit == status)
    }

    @Test("A8: where earlier commands left programs behind, a command gets a cmd.exe of its own")
    func theShellIsReplaced() async throws {
        guest.say("\nVMLAB READY cmd\n")
        async let opened: Void = session.open(setting: [("COMPUTERNAME", "WEB1")], deadline: .after(.seconds(30)))
        try await answerSetup()
        try await opened
        async let result = session.run("echo hi")
        try await answerLook(75)
        guest.say("late\r\nMicrosoft Windows\r\nC:\\>\nVMLAB READY cmd\n")
        #expect(try await answerSetup().contains("set \"COMPUTERNAME=WEB1\"\n"))
        try await answerLook()
        _ = try await answerWriting()
        _ = try await receive(until: "echo ")
        let begin = nonce(try await receive(until: "^+\n"))
        guest.say("\u{1e}\(begin)+\r\nhi\r\n\u{1e}\(begin)-0\r\n")
        let (exit, output) = try await result
        #expect(exit == 0 && output == Array("hi\r\n".utf8))
    }

    @Test("a cmd.exe that was being replaced when its command was given up is waited for by the next one")
    func aReplacementGivenUp() async throws {
        guest.say("\nVMLAB READY cmd\n")
        async let opened: Void = session.open(deadline: .after(.seconds(30)))
        try await answerSetup()
        try await opened
        let first = Task { try await session.run("echo hi") }
        let asked = try await receive(until: "\u{10}r;a ") + receive(until: "\n")
        first.cancel()
        await #expect(throws: ConsoleError.cancelled) { try await first.value }
        async let isFree = session.interrupt(grace: .seconds(30))
        guest.say("\u{1e}\(asked.split(separator: " ").last?.dropLast() ?? "")-75\n")
        guest.say("C:\\>\nVMLAB READY cmd\n")
        try await answerSetup()
        _ = try await receive(until: "vmlab-kill KILL;a ")
        guest.say("\u{1e}\(try await receive(until: "\n").dropLast())-0\n")
        #expect(await isFree)
        async let second = session.run("echo hi")
        try await answerLook()
        _ = try await answerWriting()
        _ = try await receive(until: "echo ")
        let begin = nonce(try await receive(until: "^+\n"))
        guest.say("\u{1e}\(begin)+\r\nhi\r\n\u{1e}\(begin)-0\r\n")
        #expect(try await second.exit == 0)
    }

    /// Answers the probe behind cmd.exe's setup, and returns what was typed before it.
    @discardableResult
    private func answerSetup() async throws -> String {
        let typed = try await receive(until: "@echo off\n")
        let rest = try await receive(until: "^")
        let half = nonce(String(rest.suffix(17)))
        guest.say(half + nonce(try await receive(until: "\n")))
        return typed + rest
    }

    @Test func aNewShellHasNone() async throws {
        try await open()
        guest.say("\nVMLAB READY cmd\n")
        #expect(try await eventually { !session.isPrewarmed })
        let error = await #expect(throws: ConsoleError.self) { try await session.run("ver") }
        #expect(error == .greetedAgain)
    }
}

extension String {
    /// Where the bytes of `text` begin and end; characters would hide a line feed behind a carriage return.
    fileprivate func utf8Range(of text: String) -> Range<Int>? {
        let bytes = Array(utf8)
        let wanted = Array(text.utf8)
        return (0..<max(0, bytes.count - wanted.count + 1)).lazy.map { $0..<($0 + wanted.count) }
            .first { Array(bytes[$0]) == wanted }
    }
}
