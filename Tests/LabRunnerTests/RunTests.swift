import LabResults
import LabSpec
import LabTestSupport
import Testing

/// Order, sharing, stopping and room, on whole labs.
@Suite("Runs of whole labs", .timeLimit(.minutes(1)))
struct RunTests {
    private let four = (1...4).map { "g-\($0)" }

    @Test("200 runs on any of four guests: all pass, each once")
    func sharing() async throws {
        let lab = TestLab(
            groups: [group("g", count: 4)], tasks: [shared("s", "echo $VMLAB_INDEX", among: four, repetitions: 200)])
        let run = try await lab.run()
        #expect(run.status == .passed)
        #expect(run.finished.map(\.id.index).sorted() == Array(1...200))
        #expect(run.finished.allSatisfy { $0.outputTail == "\($0.id.index)\n" })
        #expect(Set(run.finished.compactMap(\.id.guest)) == Set(four))
    }

    @Test("tasks wait for what they need; a failure skips what needs it but not `always()`")
    func needs() async throws {
        let lab = TestLab(
            groups: [group("g", count: 2)],
            tasks: [
                task("last", on: ["g-1"], needs: ["c"]).with { $0.condition = .always },
                task("a", "[ $VMLAB_GUEST = g-1 ] || exit 4", on: ["g-1", "g-2"]),
                task("b", on: ["g-1", "g-2"], needs: ["a"]), task("c", on: ["g-2"], needs: ["b"]),
                task("d", on: ["g-2"]),
            ])
        let run = try await lab.run()
        #expect(run.outcomes("b") == [.skipped, .skipped])
        #expect(try run.result("b").message == "needs a, which did not pass")
        #expect(run.outcomes("c") == [.skipped])
        #expect(run.outcomes("last") == [.passed])
        #expect(run.outcomes("d") == [.passed])
        #expect(run.status == .failed)
    }

    @Test("a guest without tasks is booted; a lab without tasks passes")
    func idleGuests() async throws {
        let run = try await TestLab(groups: [group("a"), group("b")], tasks: [task("t", on: ["a"])]).run()
        #expect(run.census.starts == ["a": 1, "b": 1])
        #expect(try await TestLab().run().status == .passed)
        let lab = TestLab(backend: ShellBackend { _, _ in .boots(.dies) })
        #expect(try await lab.run().status == .infrastructure)
    }

    @Test("a freestanding guest has nothing to give network addresses to, so nobody tries")
    func freestandingNetwork() async throws {
        var networked = group("g")
        networked.networks = ["lan"]
        var lab = TestLab(groups: [networked], networks: [NetworkSpec(name: "lan")], tasks: [task("t", on: ["g"])])
        // The shell that plays the guest looks for its card on the host, and finds none.
        #expect(try await lab.run().failedGuests["g"]?.hasPrefix("the guest's network could not be set up") == true)
        lab.image.isFreestanding = true
        #expect(try await lab.run().status == .passed)
    }

    @Test("the first failure stops what has not begun")
    func stopOnFailure() async throws {
        var lab = TestLab(
            groups: [group("g", count: 2)],
            tasks: [
                task("bad", "exit 1", on: ["g-1"]), task("more", "sleep 5", on: ["g-1", "g-2"]),
                task("last", on: ["g-2"]),
            ])
        lab.stopOnFailure = true
        let run = try await lab.run { try await $0.waitForReady("g-2") }
        #expect(try run.result("more", on: "g-1").outcome == .skipped)
        #expect(try run.result("last").outcome == .skipped)
        #expect(try run.result("last").message == "an earlier task failed")
        #expect(run.status == .failed)
    }

    @Test("the lab's deadline: what runs is a timeout, what has not begun is skipped")
    func labDeadline() async throws {
        var lab = TestLab(
            groups: [group("g"), group("late")],
            tasks: [
                task("long", "sleep 100").with {
                    $0.retries = 3
                    $0.retryOn = .anyFailure
                },
                task("stubborn", "trap '' INT; while :; do sleep 1; done"), task("other", on: ["late"]),
            ],
            backend: ShellBackend { guest, _ in guest == "late" ? .boots(.never) : .normally })
        lab.timeouts.lab = .seconds(12)
        let run = try await lab.run()
        #expect(try run.result("long").outcome == .timeout)
        #expect(try run.result("long").message == "the lab's time was up")
        #expect(try run.result("stubborn").outcome == .skipped)
        #expect(try run.result("other").outcome == .skipped, "its guest was still booting")
        #expect(run.status == .deadline)
        #expect(run.duration < .seconds(300))
    }

    @Test("a stubborn command at the lab's deadline does not hold the run up")
    func labDeadlineStubborn() async throws {
        var lab = TestLab(tasks: [task("stubborn", "trap '' INT; while :; do sleep 1; done")])
        lab.timeouts.lab = .seconds(12)
        let run = try await lab.run()
        #expect(try run.result("stubborn").outcome == .timeout)
        #expect(run.status == .deadline)
        #expect(run.duration < .seconds(300))
    }

    @Test("a cancelled run ends at once: interrupted, every run accounted for, no machine left")
    func cancellation() async throws {
        let lab = TestLab(
            groups: [group("g", count: 3)],
            tasks: [
                shared("s", "sleep 1000", among: ["g-1", "g-2"], repetitions: 20),
                task("after", on: ["g-1", "g-3"], needs: ["s"]),
            ])
        let run = try await lab.run(cancelling: true) { try await $0.waitForStart(of: "s", index: 2) }
        #expect(run.status == .interrupted)
        #expect(run.finished.allSatisfy { $0.outcome == .skipped })
        #expect(run.failedGuests.isEmpty)
        #expect(run.duration < .seconds(300))
    }

    @Test("cancelled at any moment", arguments: 0..<24)
    func cancelledAnytime(moment: Int) async throws {
        let lab = TestLab(
            groups: [group("g", count: 4, memory: .mebibytes(10))],
            tasks: [
                shared("s", "sleep 0.01", among: four, repetitions: 30).with { $0.retries = 1 },
                task("a", on: four).with { $0.reboot = true }, task("b", on: four, needs: ["a"]),
            ], limit: .mebibytes(25))
        let run = try await lab.run(cancelling: true) { _ in try await Task.sleep(for: .milliseconds(moment * 12)) }
        #expect(run.status == .interrupted)
        #expect(!run.finished.contains { $0.outcome == .error })
        #expect(run.failedGuests.isEmpty)
    }

    @Test("a fleet larger than its budget runs in batches and never above it")
    func batches() async throws {
        let guests = (1...10).map { "g-\($0)" }
        let lab = TestLab(
            groups: [group("g", count: 10, memory: .gibibytes(5))], tasks: [task("t", "sleep 0.1", on: guests)],
            limit: .gibibytes(16))
        #expect(try lab.plan().batches == 4)
        let run = try await lab.run()
        #expect(run.status == .passed)
        #expect(run.census.peak == 3)
        #expect(run.census.starts.values.allSatisfy { $0 == 1 })
    }

    @Test("guests whose tasks wait for guests that have no room yet make room for them")
    func makeRoom() async throws {
        let lab = TestLab(
            groups: [group("g", count: 4, memory: .gibibytes(5))],
            tasks: [task("a", on: four), task("b", on: ["g-1"], needs: ["a"]), task("c", on: ["g-4"], needs: ["b"])],
            limit: .gibibytes(5))
        let run = try await lab.run()
        #expect(run.status == .passed)
        #expect(run.census.peak == 1)
    }

    @Test("guests that still wait for something keep their place while others can make room")
    func keepsState() async throws {
        // g-1 waits for g-3, which needs room: g-2 has nothing left to do and leaves.
        let lab = TestLab(
            groups: [group("g", count: 3, memory: .gibibytes(5))],
            tasks: [
                task("a", "echo state > file", on: ["g-1"]), task("other", "sleep 0.3", on: ["g-2"]),
                task("c", "sleep 0.3", on: ["g-3"]), task("b", "cat file", on: ["g-1"], needs: ["c"]),
            ],
            limit: .gibibytes(10))
        let run = try await lab.run()
        #expect(run.status == .passed)
        #expect(run.census.starts == ["g-1": 1, "g-2": 1, "g-3": 1])
    }

    @Test("a guest that waited for room in vain is not booted for nothing")
    func noUselessBoots() async throws {
        let lab = TestLab(
            groups: [group("g", count: 4, memory: .gibibytes(5))], tasks: [shared("s", among: four, repetitions: 20)],
            limit: .gibibytes(10))
        let run = try await lab.run()
        #expect(run.status == .passed)
        #expect(run.census.starts.count == 2)
    }

    @Test("one boot at a time")
    func boots() async throws {
        var lab = TestLab(
            groups: [group("g", count: 3)], tasks: [task("t", on: ["g-1", "g-2", "g-3"])],
            backend: ShellBackend { _, _ in .boots(.after(seconds: 0.2)) })
        lab.boots = 1
        let run = try await lab.run()
        #expect(run.status == .passed)
        #expect(run.duration > .milliseconds(600))
    }

    @Test("two labs at once do not meet")
    func twoLabs() async throws {
        let lab = TestLab(tasks: [shared("s", "echo $VMLAB_INDEX > f; cat f", among: ["g"], repetitions: 20)])
        let other = TestLab(tasks: [shared("s", "echo $VMLAB_INDEX > f; cat f", among: ["g"], repetitions: 20)])
        async let first = lab.run()
        async let second = other.run()
        #expect(try await first.status == .passed)
        #expect(try await second.status == .passed)
    }
}
