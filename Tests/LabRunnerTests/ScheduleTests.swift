import LabResults
import Quantities
import Testing

@testable import HostResources
@testable import LabRunner
@testable import LabSpec

@Suite("The schedule of runs")
struct ScheduleTests {
    private func task(
        _ name: String, _ targets: [TaskTarget], repetitions: Int = 1, needs: [String] = [],
        condition: TaskCondition = .needsPassed
    ) -> LabTask {
        LabTask(
            name: name, targets: targets, action: .run("true"), repetitions: repetitions, needs: needs,
            condition: condition)
    }

    private func run(_ decision: Schedule.Decision) -> Schedule.Run? {
        if case .run(let run) = decision { run } else { nil }
    }

    @Test("a guest takes its runs in the order of the file, one repetition after the other")
    func order() throws {
        var schedule = Schedule(
            tasks: [task("a", [.every(["g"])], repetitions: 2), task("b", [.every(["g"])])], guests: ["g"])
        var seen: [[Int]] = []
        while let next = run(schedule.next(for: 0)) {
            seen.append([next.task, next.index])
            schedule.finish(next, success: true)
        }
        #expect(seen == [[0, 1], [0, 2], [1, 1]])
        #expect(schedule.isFinished)
        #expect(schedule.next(for: 0) == .nothing)
    }

    @Test("free guests share the repetitions of an `any` task, each taken once")
    func sharing() throws {
        var schedule = Schedule(tasks: [task("a", [.any(["g", "h"])], repetitions: 5)], guests: ["g", "h"])
        var taken: [Int] = []
        for turn in 0..<5 {
            let next = try #require(run(schedule.next(for: turn % 2)))
            taken.append(next.index)
            schedule.finish(next, success: true)
        }
        #expect(taken == [1, 2, 3, 4, 5])
        #expect(schedule.isFinished)
    }

    @Test("a task waits until all that it needs has passed on every guest")
    func needs() throws {
        var schedule = Schedule(
            tasks: [task("a", [.every(["g", "h"])]), task("b", [.every(["g"])], needs: ["a"])], guests: ["g", "h"])
        let first = try #require(run(schedule.next(for: 0)))
        let second = try #require(run(schedule.next(for: 1)))
        schedule.finish(first, success: true)
        #expect(schedule.next(for: 0) == .wait)
        schedule.finish(second, success: true)
        #expect(run(schedule.next(for: 0))?.task == 1)
    }

    @Test("what needs a failed task is skipped, and what needs that too, unless it runs always")
    func skipping() throws {
        var schedule = Schedule(
            tasks: [
                task("a", [.every(["g"])]), task("b", [.every(["g"])], needs: ["a"]),
                task("c", [.any(["g"])], needs: ["b"]),
                task("d", [.every(["g"])], needs: ["c"], condition: .always),
            ], guests: ["g"])
        schedule.finish(try #require(run(schedule.next(for: 0))), success: false)
        let gone = schedule.takeAbandoned()
        #expect(gone.map(\.run.task) == [1, 2])
        #expect(gone.allSatisfy { $0.outcome == .skipped })
        #expect(gone.first?.reason == "needs a, which did not pass")
        #expect(run(schedule.next(for: 0))?.task == 3)
    }

    @Test("a lost guest's own runs become errors; shared ones only when no guest is left")
    func loss() throws {
        var schedule = Schedule(
            tasks: [task("own", [.every(["g", "h"])]), task("shared", [.any(["g", "h"])], repetitions: 2)],
            guests: ["g", "h"])
        schedule.lose(guest: 0, reason: "it died")
        #expect(schedule.takeAbandoned().map(\.run.pinned) == [0])
        schedule.finish(try #require(run(schedule.next(for: 1))), success: true)
        #expect(run(schedule.next(for: 1))?.task == 1)
        schedule.lose(guest: 1, reason: "it died too")
        let gone = schedule.takeAbandoned()
        #expect(gone.map(\.run.index) == [2])
        #expect(gone.first?.outcome == .error)
        #expect(gone.first?.reason == "it died too")
        #expect(!schedule.isFinished, "one shared run was handed out and has not ended")
    }

    @Test("a retried run comes back first and counts its attempts; another guest may take a shared one")
    func retries() throws {
        var schedule = Schedule(tasks: [task("a", [.any(["g", "h"])], repetitions: 2)], guests: ["g", "h"])
        let first = try #require(run(schedule.next(for: 0)))
        schedule.retry(first, before: Schedule.Attempt(outcome: .error, message: "x"))
        #expect(schedule.hasRetry(for: 1))
        let again = try #require(run(schedule.next(for: 1)))
        #expect(again.index == 1)
        #expect(again.attempt == 2)
    }

    @Test("a stopped schedule skips all that has not started and still waits for what has")
    func stop() throws {
        var schedule = Schedule(tasks: [task("a", [.every(["g"])], repetitions: 3)], guests: ["g"])
        let running = try #require(run(schedule.next(for: 0)))
        schedule.stop(reason: "interrupted")
        #expect(schedule.takeAbandoned().map(\.run.index) == [2, 3])
        #expect(!schedule.isFinished)
        schedule.finish(running, success: true)
        #expect(schedule.isFinished)
    }

    @Test("a guest in two targets of one task runs it once per repetition")
    func overlap() {
        let schedule = Schedule(tasks: [task("a", [.every(["g"]), .every(["g", "h"])])], guests: ["g", "h"])
        #expect(schedule.openRuns == 2)
    }

    @Test("an idle guest is told to make room only while others wait for it")
    func makeRoom() {
        var dispatch = Dispatch(Schedule(tasks: [task("a", [.every(["h"])])], guests: ["g", "h"]))
        let need = Dispatch.Need(shortage: Admission.Shortage(memory: 1, slots: 0)) { _ in ByteCount(1) }
        let isNeeded = dispatch.arrive(0)
        #expect(!isNeeded)
        expect(dispatch.makeRoom(need), [], "nobody is idle")
        expect(dispatch.next(for: 0), [])
        expect(dispatch.makeRoom(need), [.order(guest: 0, .makeRoom(early: false))])
        expect(dispatch.waitForWork(0), [.boot(guest: 0, false)])
        expect(dispatch.waitForWork(1), [.boot(guest: 1, true)])
    }

    @Test("a guest that something happened to is told to look: at once when it is idle, else at its next turn")
    func recall() {
        var dispatch = Dispatch(Schedule(tasks: [task("a", [.every(["h"])])], guests: ["g", "h"]))
        for guest in 0..<2 { _ = dispatch.arrive(guest) }
        expect(dispatch.next(for: 0), [])
        expect(dispatch.recall(0), [.order(guest: 0, .look)])
        expect(dispatch.recall(1), [])
        expect(dispatch.next(for: 1), [.order(guest: 1, .look)])
        expect(dispatch.next(for: 1), [.order(guest: 1, .run(Schedule.Run(task: 0, index: 1, pinned: 1)))])
    }

    @Test("a stop gives up what has not begun, and lets idle guests go")
    func stopGivesUp() {
        var dispatch = Dispatch(
            Schedule(
                tasks: [task("a", [.every(["g"])]), task("b", [.every(["h"])], needs: ["a"])], guests: ["g", "h"]))
        for guest in 0..<2 { _ = dispatch.arrive(guest) }
        let run = Schedule.Run(task: 0, index: 1, pinned: 0)
        expect(dispatch.next(for: 0), [.order(guest: 0, .run(run))])
        expect(dispatch.next(for: 1), [])
        let gone = Schedule.Abandoned(
            run: Schedule.Run(task: 1, index: 1, pinned: 1), outcome: .skipped, reason: "no more")
        expect(dispatch.stop(reason: "no more", cleaningUp: false), [.abandon(gone)])
        let again = dispatch.retry(run, before: Schedule.Attempt(outcome: .failed, message: ""))
        #expect(again == nil)
        expect(dispatch.finish(run, success: false), [.finish, .order(guest: 1, .finished)])
    }
}

/// Expects what a change of a dispatch asks for.
func expect(
    _ effects: [Dispatch.Effect], _ wanted: [Dispatch.Effect], _ why: Comment? = nil,
    at place: SourceLocation = #_sourceLocation
) {
    #expect(effects == wanted, why, sourceLocation: place)
}
