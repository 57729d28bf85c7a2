import HostSystem
import LabResults
import LabTestSupport
import Testing

@testable import LabRunner
@testable import LabSpec

/// The engine's own cost, printed; what grows with the square runs into the time limit.
@Suite("The engine's own cost", .serialized, .timeLimit(.minutes(2)))
struct CostTests {
    private func schedule(tasks: Int, guests: Int, repetitions: Int, isShared: Bool) -> (runs: Int, each: Duration) {
        let names = (1...guests).map { "g-\($0)" }
        let list = (1...tasks).map { number in
            LabTask(
                name: "t\(number)", targets: [isShared ? .any(names) : .every(names)], action: .run("true"),
                repetitions: repetitions, needs: number > 1 ? ["t\(number - 1)"] : [])
        }
        let begun = ContinuousClock.now
        var schedule = Schedule(tasks: list, guests: names)
        var runs = 0
        while !schedule.isFinished {
            for guest in 0..<guests {
                guard case .run(let run) = schedule.next(for: guest) else { continue }
                schedule.finish(run, success: true)
                runs += 1
            }
        }
        return (runs, (ContinuousClock.now - begun) / max(runs, 1))
    }

    @Test(
        "the schedule's cost per run",
        arguments: [
            (1, 8, 5000, true), (1, 8, 5000, false), (200, 100, 1, false), (1000, 10, 1, false), (10, 1000, 1, false),
        ])
    func schedule(shape: (Int, Int, Int, Bool)) {
        let cost = schedule(tasks: shape.0, guests: shape.1, repetitions: shape.2, isShared: shape.3)
        print("schedule of \(shape.0) tasks, \(shape.1) guests, \(shape.2) repetitions: \(cost.each) per run")
        #expect(cost.runs == shape.0 * shape.2 * (shape.3 ? 1 : shape.1))
    }

    @Test("whole runs of instant guests", arguments: [1000, 5000])
    func wholeRuns(count: Int) async throws {
        let names = (1...8).map { "g-\($0)" }
        let lab = TestLab(groups: [group("g", count: 8)], tasks: [shared("s", among: names, repetitions: count)])
        let run = try await lab.run(on: InstantBackend())
        #expect(run.status == .passed)
        print("\(count) runs over 8 instant guests: \(run.duration / count) per run")
    }

    @Test("a thousand guests of ten tasks each, a hundred at a time")
    func manyGuests() async throws {
        let names = (1...1000).map { "g-\($0)" }
        var lab = TestLab(
            groups: [group("g", count: 1000)], tasks: (1...10).map { task("t\($0)", on: names) })
        lab.slots = 100
        let run = try await lab.run(on: InstantBackend())
        #expect(run.status == .passed)
        print("10000 runs over 1000 instant guests, 100 at a time: \(run.duration / 10_000) per run")
    }
}
