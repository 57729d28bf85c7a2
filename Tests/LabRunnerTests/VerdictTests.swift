import Diagnostics
import GuestConsole
import LabResults
import LabSpec
import LabTestSupport
import Patterns
import Quantities
import Testing

@testable import HostSystem
@testable import GuestControl
@testable import LabRunner

/// What each error makes of the task or the script that it ends: one table for both.
@Suite("Verdicts")
struct VerdictTests {
    struct Unknown: Error, CustomStringConvertible {
        let description = "no one knows"
    }

    static let loss = GuestLoss(outcome: .panicked, message: "Kernel panic", consoleTail: ["line"])

    static func timeout(_ recovery: Recovery) -> GuestTimeout {
        var timeout = GuestTimeout(what: "the command did not end", limit: .seconds(90))
        timeout.recovery = recovery
        return timeout
    }

    static let table: [(error: any Error, verdict: Verdict)] = [
        (loss, Verdict(.panicked, "Kernel panic", consoleTail: ["line"], guest: .lost)),
        (timeout(.atPrompt), Verdict(.timeout, "the command did not end within 90s")),
        (timeout(.madeAnew), Verdict(.timeout, "the command did not end within 90s", guest: .madeAnew)),
        (DeadlineExceeded(deadline: .now), Verdict(.timeout, "its time was up")),
        (CancellationError(), Verdict(.skipped, "interrupted", guest: .lost)),
        (ConsoleError.cancelled, Verdict(.skipped, "interrupted", guest: .lost)),
        (ConsoleError.invalidCommand("no"), Verdict(.error, "no", guest: .lost)),
        (ConsoleError.greetedAgain, Verdict(.error, "the guest rebooted or its shell was restarted", guest: .lost)),
        (EarlyEnd(.interrupted, grace: .zero), Verdict(.skipped, "interrupted", guest: .lost)),
        (EarlyEnd(.deadline, grace: .zero), Verdict(.timeout, "the lab's time was up", guest: .lost)),
        (Diagnostic(.specification, "a", remedy: "c", cause: "b"), Verdict(.failed, "a: b (c)")),
        (Diagnostic(.host, "a"), Verdict(.error, "a")),
        (Diagnostic(.image, "a"), Verdict(.error, "a")),
        (Diagnostic(.guest, "a"), Verdict(.error, "a")),
        (DiagnosticList([Diagnostic(.specification, "a"), Diagnostic(.specification, "b")]), Verdict(.failed, "a; b")),
        (DiagnosticList([Diagnostic(.specification, "a"), Diagnostic(.host, "b")]), Verdict(.error, "a; b")),
        (PatternFailure.stopped, Verdict(.skipped, "the search was stopped")),
        (
            InteractionEnded(pattern: "p", exit: 1, said: "\"s\""),
            Verdict(.failed, "the command ended (status 1) and did not print /p/, only \"s\"")
        ),
        (
            SystemCallError("open", errno: 2, "/x"),
            Verdict(.error, "the host refused a system call: open /x: No such file or directory", guest: .lost)
        ),
        (Verdict(.failed, "as it is"), Verdict(.failed, "as it is")),
        (Unknown(), Verdict(.error, "no one knows", guest: .lost)),
    ]

    @Test("every error has its outcome", arguments: table.indices)
    func outcome(row: Int) {
        #expect(Verdict(of: Self.table[row].error) == Self.table[row].verdict)
    }

    @Test("too slow a pattern is a timeout, too large a one an error")
    func patterns() {
        #expect(Verdict(of: PatternFailure.tooSlow(pattern: "p")).outcome == .timeout)
        #expect(Verdict(of: PatternFailure.tooLarge(pattern: "p")).outcome == .error)
    }

    @Test("a message is one line, and not longer than some 4000 bytes")
    func oneLine() {
        #expect(Verdict(.failed, "a\nb\n\nc").message == "a; b; c")
        #expect(Verdict(.failed, String(repeating: "x", count: 5000)).message.utf8.count == 4003)
    }

    @Test("what cannot be copied into a guest is an error, what a guest cannot give a failure: tasks as scripts")
    func copies() async throws {
        try await TestFleet.with { test in
            let guest = try await test.boot(group("g"))[0]
            let put = await #expect(throws: (any Error).self) {
                try await guest.put(FileCopy(host: "/dev/null", guest: "/tmp/null"), with: .everything)
            }
            let get = await #expect(throws: (any Error).self) { try await guest.read("/no/such/file", limit: 10) }
            #expect(put.map { Verdict(of: $0).outcome } == .error)
            #expect(get.map { Verdict(of: $0).outcome } == .failed)
        }
    }
}
