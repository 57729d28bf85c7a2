import LabResults
import LabSpec
import LabTestSupport
import Testing

@testable import LabRunner

/// Guests that are lost and replaced by fresh ones for what they have left to run.
@Suite("Guests that are replaced", .timeLimit(.minutes(2)))
struct ReplacementTests {
    private static let two = ["g-1", "g-2"]
    /// Signal 9 to process group 0: the whole guest.
    private static let firstFourDie = "[ $VMLAB_INDEX -gt 4 ] || kill -9 0"

    private func replacements(_ run: TestRun) -> Int {
        run.events.count { if case .guestReplaced = $0 { true } else { false } }
    }

    @Test("N4: with reset: snapshot on two guests, four runs that lose their guest cost four runs")
    func resets() async throws {
        let lab = TestLab(
            groups: [group("g", count: 2)],
            tasks: [shared("s", Self.firstFourDie, among: Self.two, repetitions: 12).with { $0.reset = .snapshot }])
        let run = try await lab.run()
        #expect(run.outcomes("s").count { $0 == .error } == 4)
        #expect(run.outcomes("s").count { $0 == .passed } == 8)
        #expect(run.failedGuests.isEmpty)
        #expect(replacements(run) == 4)
        #expect(run.status == .infrastructure)
    }

    @Test("N4: so does a task that any guest may take and that needs nothing of them; a panic is its run's outcome")
    func any() async throws {
        let lab = TestLab(
            groups: [group("g", count: 2)],
            tasks: [
                shared("s", Self.firstFourDie, among: Self.two, repetitions: 12),
                shared("other", among: Self.two, repetitions: 2),
            ])
        let run = try await lab.run()
        #expect(run.outcomes("s").count { $0 == .passed } == 8)
        #expect(run.outcomes("other") == [.passed, .passed])
        #expect(run.failedGuests.isEmpty)
    }

    @Test("N4: what needs something that ran on the lost guest is left to others, and an error without them")
    func needs() async throws {
        let prepared = { (dies: String) in
            TestLab(
                groups: [group("g", count: 2)],
                tasks: [
                    task("prepare", on: Self.two),
                    shared("s", dies, among: Self.two, repetitions: 6).with { $0.needs = ["prepare"] },
                ])
        }
        let one = try await prepared("[ $VMLAB_INDEX -gt 1 ] || kill -9 0").run()
        #expect(one.outcomes("s").count { $0 == .passed } == 5)
        #expect(one.census.starts == ["g-1": 1, "g-2": 1])
        let both = try await prepared("kill -9 0").run()
        #expect(both.outcomes("s") == Array(repeating: .error, count: 6))
        #expect(both.census.starts == ["g-1": 1, "g-2": 1])
        #expect(both.failedGuests.keys.sorted() == Self.two)
    }

    @Test("N4: one that does not come up again is lost for good, and the run ends")
    func doesNotBoot() async throws {
        let lab = TestLab(
            tasks: [shared("s", "kill -9 0", among: ["g"], repetitions: 5)],
            backend: ShellBackend { _, start in start < 3 ? .normally : .boots(.dies) })
        let run = try await lab.run()
        #expect(run.outcomes("s") == Array(repeating: .error, count: 5))
        #expect(run.census.starts == ["g": 3])
        #expect(replacements(run) == 2)
        #expect(run.failedGuests.count == 1)
    }

    @Test("N4: a schedule gives a fresh guest what does not rest on the lost one, near or far")
    func schedule() {
        let tasks = [
            task("prepare", on: Self.two), task("middle", on: ["g-2"], needs: ["prepare"]),
            shared("far", among: Self.two, repetitions: 2).with { $0.needs = ["middle"] },
            task("reset", on: ["g-1"], needs: ["middle"]).with { $0.reset = .snapshot }, task("order", on: ["g-1"]),
        ]
        var schedule = Schedule(tasks: tasks, guests: Self.two)
        guard case .run(let prepare) = schedule.next(for: 0) else { return #expect(Bool(false)) }
        schedule.finish(prepare, success: true)
        let isReplaced = schedule.replace(guest: 0, reason: "gone")
        #expect(isReplaced)
        #expect(schedule.takeAbandoned().map { tasks[$0.run.task].name } == ["order"])
        for name in ["prepare", "middle", "far", "far"] {
            guard case .run(let next) = schedule.next(for: 1) else { return #expect(Bool(false), "\(name)") }
            #expect(tasks[next.task].name == name)
            schedule.finish(next, success: true)
        }
        guard case .run(let last) = schedule.next(for: 0) else { return #expect(Bool(false)) }
        #expect(tasks[last.task].name == "reset")
    }
}
