import Diagnostics
import LabResults
import LabSpec
import LabTestSupport
import Testing

@testable import GuestControl

@Suite("N2: guests that are powered off and on") struct PowerTests {
    private static func ended(_ test: TestFleet, _ guest: String) -> [String] {
        test.sink.events.compactMap {
            if case .guestEnded(guest, _, let reason) = $0 { reason } else { nil }
        }
    }

    @Test("a guest that was powered off starts again, with what its disks hold")
    func startsAgain() async throws {
        try await TestFleet.with(on: NotebookBackend()) { test in
            let guest = try await test.boot(group("g"))[0]
            _ = try await guest.say("note kept")
            for _ in 1...2 {
                try await guest.powerOff()
                #expect(guest.loss == nil)
                try await guest.start()
                #expect(try await guest.say("notes").0 == "kept\n")
            }
            #expect(Self.ended(test, "g") == ["powered off", "powered off"])
            #expect(test.notebooks?.count(.cold) == 1)
        }
    }

    @Test("nothing can be asked of a guest that is off; one that runs is not started")
    func off() async throws {
        try await TestFleet.with(on: NotebookBackend()) { test in
            let guest = try await test.boot(group("g"))[0]
            let running = await #expect(throws: Diagnostic.self) { try await guest.start() }
            #expect(running?.message == "g is already running")
            try await guest.powerOff()
            for question in [
                { _ = try await guest.say("notes") }, { try await guest.powerOff() }, { try await guest.reboot() },
                { try await guest.pause() }, { try await guest.resume() },
            ] as [@Sendable () async throws -> Void] {
                let problem = await #expect(throws: Diagnostic.self) { try await question() }
                #expect(problem?.message == "g is powered off" && problem?.remedy == "`start` boots it again")
            }
            try await guest.kill()
            await #expect(throws: GuestLoss.self) { try await guest.start() }
        }
    }

    @Test("one that does not power itself off loses its power, and starts again")
    func cut() async throws {
        let clock = ManualClock()
        try await TestFleet.with(on: NotebookBackend(), clock: clock) { test in
            let guest = try await test.boot(group("g"))[0]
            _ = try await guest.say("note stay on")
            async let turned: Void = clock.fire(after: .seconds(300))
            try await guest.powerOff(timeout: .seconds(300))
            try await turned
            let notes = test.sink.events.compactMap { if case .note(.warning, let text) = $0 { text } else { nil } }
            #expect(
                notes.count == 1
                    && notes[0].hasPrefix("g: its power was cut because it did not power itself off within"))
            try await guest.start()
            #expect(try await guest.say("notes").0 == "stay on\n")
        }
    }

    @Test("one that is off makes room for others, and says so when it is started")
    func room() async throws {
        try await TestFleet.with(memory: .mebibytes(150), on: NotebookBackend()) { test in
            let first = try await test.boot(group("first"))[0]
            try await first.powerOff()
            let second = try await test.boot(group("second"))[0]
            #expect(try await second.say("hostname").0 == "second\n")
            let loss = await #expect(throws: GuestLoss.self) { try await first.start() }
            #expect(loss?.message == "its memory was given to other guests while it was powered off")
            #expect(Self.ended(test, "first") == ["powered off"])
        }
    }

    @Test("one that powers itself off after it was started is lost")
    func byItself() async throws {
        try await TestFleet.with(on: NotebookBackend()) { test in
            let guest = try await test.boot(group("g"))[0]
            try await guest.powerOff()
            try await guest.start()
            test.notebooks?.machine("g")?.shutDown()
            let loss = await #expect(throws: GuestLoss.self) { try await guest.say("wait") }
            #expect(loss?.message == "the guest powered itself off")
        }
    }
}
