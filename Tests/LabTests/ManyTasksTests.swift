import LabResults
import Testing

extension GuestTests {
    /// Many small tasks over few guests.
    @Suite struct ManyTasksTests {
        @Test func twoHundredTasksOverFourGuests() async throws {
            try await VMLab.with { vmlab in
                let tasks = (1...200).map {
                    "  - {name: task-\($0), on: any worker, run: echo \($0) of $VMLAB_TASK on $VMLAB_GUEST}"
                }
                try vmlab.write(
                    "lab.yaml",
                    """
                    lab: many
                    guests:
                      worker: {image: busybox, count: 4, memory: 128MiB}
                    tasks:

                    """ + tasks.joined(separator: "\n"))
                let ended = try await vmlab("run", "lab.yaml", "--out", "out")
                #expect(ended.status == 0, "\(ended.everything)")
                let report = try vmlab.report()
                #expect(report.tasks.map(\.id.task) == (1...200).map { "task-\($0)" }, "in the lab's order")
                #expect(report.tasks.allSatisfy { $0.outcome == .passed && $0.attempts == 1 })
                #expect(report.counts["passed"] == 200)
                for (number, task) in zip(1..., report.tasks) {
                    let guest = try #require(task.id.guest)
                    #expect(task.outputTail == "\(number) of task-\(number) on \(guest)\n")
                }
                let shares = Dictionary(grouping: report.tasks) { $0.id.guest ?? "" }.mapValues(\.count)
                print("200 tasks over 4 guests in \(report.duration) s: \(shares)")
            }
        }
    }
}
