import HostSystem
import LabResults
import LabSpec
import LabTestSupport
import Testing

/// Runs that are interrupted or run out of time, and what they may still do.
@Suite("Runs that end early", .timeLimit(.minutes(2)))
struct EarlyEndTests {
    /// A task that makes a file of the host once it runs, and then takes for ever, and one that cleans up after it.
    private static func lab(in folder: String) -> TestLab {
        TestLab(
            groups: [group("g", count: 2), group("late")],
            tasks: [
                task(
                    "long", "echo kept > \(folder)/file; echo said >&2; sh -c ': > \(folder)/begun; exec sleep 1000'",
                    on: ["g-1"]
                )
                .with {
                    $0.get = [FileCollection("\(folder)/file")]
                    $0.errors = .separate
                },
                task("other", on: ["g-1"]),
                task("cleanup", "echo clean", on: ["g-1"], needs: ["long"]).with { $0.condition = .always },
                task("never", on: ["late"], needs: ["long"]).with { $0.condition = .always },
            ],
            backend: ShellBackend { guest, _ in guest == "late" ? .boots(.never) : .normally })
    }

    private static func hasBegun(_ folder: String) async throws {
        #expect(try await eventually { SmallFile.text("\(folder)/begun") != nil })
    }

    @Test("A17: an interrupted run collects files, cleans up on guests that are up, and is interrupted")
    func interrupted() async throws {
        try await withTemporaryFolder { folder in
            try await TestLab.$inspect.withValue({ run in
                let long = try run.result("long")
                #expect(long.outcome == .skipped && long.message == "interrupted", "\(long)")
                #expect(SmallFile.text(run.results.absolute(long.artifacts.first ?? "none")) == "kept\n")
                #expect(SmallFile.text(run.results.absolute(long.errorsPath ?? "none")) == "said\n")
                #expect(run.output(try run.result("cleanup")) == "clean\n")
            }) {
                let run = try await Self.lab(in: folder).run(interrupting: true) { _ in try await Self.hasBegun(folder)
                }
                #expect(run.status == .interrupted)
                #expect(try run.result("cleanup").outcome == .passed)
                #expect(try run.result("other").outcome == .skipped)
                #expect(try run.result("never").outcome == .skipped, "its guest is not up")
                let notes = run.events.compactMap { if case .note(.info, let text) = $0 { text } else { nil } }
                #expect(
                    notes == [
                        "running cleanup tasks and collecting files for up to 30s; press Ctrl-C again to stop now"
                    ])
            }
        }
    }

    @Test("A17: at the lab's deadline too, which stays what ended it")
    func deadline() async throws {
        try await withTemporaryFolder { folder in
            var lab = Self.lab(in: folder)
            lab.timeouts.lab = .seconds(600)
            let clock = ManualClock()
            lab.clock = clock
            let run = try await lab.run { sink in
                for guest in ["g-1", "g-2"] { try await sink.waitForReady(guest) }
                try await Self.hasBegun(folder)
                try await clock.fire(after: .seconds(600))
            }
            #expect(run.status == .deadline)
            let long = try run.result("long")
            #expect(long.outcome == .timeout && long.message == "the lab's time was up", "\(long)")
            #expect(long.artifacts.count == 1)
            #expect(try run.result("cleanup").outcome == .passed)
        }
    }

    @Test("A17: what cleans up has the grace time and no more")
    func graceTime() async throws {
        try await withTemporaryFolder { folder in
            var lab = TestLab(tasks: [
                task("long", "sh -c ': > \(folder)/begun; exec sleep 1000'"),
                task("cleanup", "sh -c ': > \(folder)/cleaning; exec sleep 1000'").with { $0.condition = .always },
                task("next").with { $0.condition = .always },
            ])
            lab.timeouts.grace = .seconds(600)
            let clock = ManualClock()
            lab.clock = clock
            // The time of what cleans up begins with the interruption.
            let turning = Task {
                #expect(try await eventually { SmallFile.text("\(folder)/cleaning") != nil })
                try await clock.fire(after: .seconds(600))
            }
            let run = try await lab.run(interrupting: true) { _ in try await Self.hasBegun(folder) }
            try await turning.value
            #expect(run.status == .interrupted)
            let cleanup = try run.result("cleanup")
            #expect(cleanup.outcome == .timeout)
            #expect(cleanup.message == "did not end within the grace time of 10m")
            #expect(run.duration < .seconds(300))
        }
    }

    @Test("A17: a run without anything to clean up ends at once, whatever its command does")
    func nothingToDo() async throws {
        try await withTemporaryFolder { folder in
            let stubborn = "trap '' INT; : > \(folder)/begun; while :; do sleep 1; done"
            let run = try await TestLab(tasks: [task("stubborn", stubborn)]).run(interrupting: true) { _ in
                try await Self.hasBegun(folder)
            }
            #expect(run.status == .interrupted)
            #expect(run.failedGuests.isEmpty)
            #expect(run.duration < .seconds(300))
        }
    }

    @Test("A17: interrupted at any moment, every run has its result", arguments: 0..<16)
    func anytime(moment: Int) async throws {
        let names = (1...4).map { "g-\($0)" }
        let lab = TestLab(
            groups: [group("g", count: 4, memory: .mebibytes(10))],
            tasks: [
                shared("s", "sleep 0.01", among: names, repetitions: 30).with { $0.retries = 1 },
                task("a", on: names).with { $0.reboot = true },
                shared("c", among: names, repetitions: 2).with { $0.condition = .always },
                task("d", on: names, needs: ["a", "s"]).with { $0.condition = .always },
            ], limit: .mebibytes(25))
        let run = try await lab.run(interrupting: true) { _ in
            try await Task.sleep(for: .milliseconds(moment * 18))
        }
        #expect(run.status == .interrupted)
        #expect(!run.finished.contains { $0.outcome == .error })
        #expect(run.failedGuests.isEmpty)
        #expect(run.duration < .seconds(40))
    }

    @Test("A17: after a failure that stops the run, what cleans up is run")
    func stopOnFailure() async throws {
        var lab = TestLab(tasks: [
            task("bad", "exit 1"), task("more"), task("cleanup", needs: ["more"]).with { $0.condition = .always },
        ])
        lab.stopOnFailure = true
        let run = try await lab.run()
        #expect(try run.result("more").outcome == .skipped)
        #expect(try run.result("cleanup").outcome == .passed)
        #expect(run.status == .failed)
    }
}
