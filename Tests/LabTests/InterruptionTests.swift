import Glibc
import HostSystem
import LabResults
import LabTestSupport
import Testing

extension GuestTests {
    /// However a run is stopped, its guests go with it, and what it knows is written down.
    @Suite struct InterruptionTests {
        private static let lab = """
            lab: stopped
            guests:
              box: {image: busybox, memory: 128MiB}
            tasks:
              - {name: quick, run: echo done}
              - {name: long, run: echo begun; sleep 1000}
              - {name: never, run: 'true'}
            """

        @Test(arguments: [SIGINT, SIGTERM, SIGHUP])
        func aSignalEndsTheRunInOrder(_ signal: Int32) async throws {
            try await VMLab.with { vmlab in
                try vmlab.write("lab.yaml", Self.lab)
                let run = try await vmlab.start(["run", "lab.yaml", "--out", "out"])
                try await run.taskStarted("long")
                run.send(signal)
                let sent = ContinuousClock.now
                let ended = try await run.ended(within: .seconds(30))
                #expect(ended.status == 130, "\(ended.everything)")
                #expect(.now - sent < .seconds(10))
                #expect(vmlab.machines.isEmpty)
                let report = try vmlab.report()
                #expect(report.status == "interrupted" && report.exitStatus == 130)
                #expect(try report.task("quick").outcome == .passed)
                #expect(try report.task("long").outcome == .skipped)
                #expect(try report.task("never").outcome == .skipped)
                #expect(vmlab.events().last?.event == "runFinished")
                #expect(try vmlab.text("out/junit.xml").contains("</testsuites>"))
            }
        }

        @Test func aSignalDuringTheBootEndsTheRunInOrder() async throws {
            try await VMLab.with { vmlab in
                try vmlab.write("lab.yaml", Self.lab)
                let run = try await vmlab.start(["run", "lab.yaml", "--out", "out"])
                _ = try await run.machine("box")
                run.send(SIGINT)
                let ended = try await run.ended(within: .seconds(30))
                #expect(ended.status == 130, "\(ended.everything)")
                #expect(try vmlab.report().status == "interrupted")
            }
        }

        private static let cleaning =
            lab + """

                  - {name: cleanup, run: echo clean, if: always()}
                  - {name: endless, run: sleep 1000, if: always(), needs: [cleanup]}
                """

        @Test(
            "S10: signals within a second are one request, after which the run cleans up; a later one ends it at once")
        func aSecondSignalEndsTheRunAtOnce() async throws {
            try await VMLab.with { vmlab in
                try vmlab.write("lab.yaml", Self.cleaning)
                let run = try await vmlab.start(["run", "lab.yaml", "--out", "out"])
                try await run.taskStarted("long")
                // As GNU timeout does, which signals its child and then the group that the child is in.
                run.send(SIGTERM)
                run.send(SIGTERM)
                try await run.taskStarted("endless")
                #expect(try vmlab.output("cleanup", on: "box") == Array("clean\n".utf8))
                let hasEnded = try await eventually {
                    run.send(SIGINT)
                    return run.child.exitStatus != nil
                }
                #expect(hasEnded)
                let ended = try await run.ended(within: .seconds(10))
                #expect(ended.status == 130, "\(ended.everything)")
                #expect(ended.out.contains("press Ctrl-C again to stop now"), "\(ended.out)")
                let haveGone = try await eventually { vmlab.machines.isEmpty }
                #expect(haveGone, "machines die with their run")
                _ = try await vmlab("gc")
            }
        }

        @Test(
            "A second signal ends a run at once: its folder is gone, its results are written and shown",
            arguments: [(SIGINT, SIGINT), (SIGTERM, SIGINT), (SIGHUP, SIGTERM)])
        func aSecondSignalLeavesNothing(_ first: Int32, _ second: Int32) async throws {
            try await VMLab.with { vmlab in
                try vmlab.write("lab.yaml", Self.cleaning)
                let run = try await vmlab.start(["run", "lab.yaml", "--out", "out"])
                try await run.taskStarted("long")
                run.send(first)
                let sent = ContinuousClock.now
                try await run.taskStarted("endless")
                // What comes sooner is the same request.
                _ = try await run.wait(for: "another request") { .now - sent > .seconds(1.5) ? true : nil }
                run.send(second)
                let ended = try await run.ended(within: .seconds(20))
                #expect(ended.status == 130, "\(ended.everything)")
                #expect(ended.out.contains("(interrupted)\nresults: out\n"), "\(ended.out)")
                #expect(vmlab.machines.isEmpty && vmlab.leftovers.isEmpty)
                let report = try vmlab.report()
                #expect(report.status == "interrupted")
                #expect(try report.task("endless").outcome == .skipped)
            }
        }

        @Test(
            "From its first moment on a run that is signalled ends with status 130",
            arguments: [SIGINT, SIGTERM, SIGHUP])
        func aSignalAtTheStart(_ signal: Int32) async throws {
            try await VMLab.with { vmlab in
                try vmlab.write("lab.yaml", Self.lab)
                let run = try await vmlab.start(["run", "lab.yaml", "--out", "out"])
                _ = try await run.wait(for: "its handler") { run.handles(signal) ? true : nil }
                run.send(signal)
                let ended = try await run.ended(within: .seconds(30))
                #expect(ended.status == 130, "\(ended.everything)")
                #expect(vmlab.machines.isEmpty && vmlab.leftovers.isEmpty)
            }
        }

        /// When a run is killed: a moment of its life.
        enum Moment: CaseIterable {
            case machineStarted, guestReady, filesGoIn, midTask
        }

        @Test(arguments: Moment.allCases)
        func whatAKilledRunLeavesIsCollected(_ moment: Moment) async throws {
            try await VMLab.with { vmlab in
                try vmlab.write("big", bytes: [UInt8](repeating: 7, count: 32 << 20))
                try vmlab.write(
                    "lab.yaml",
                    """
                    lab: killed
                    guests:
                      box: {image: busybox, memory: 256MiB, disks: [64MiB]}
                    tasks:
                      - {name: quick, run: 'true'}
                      - {name: copy, run: 'true', put: {./big: /root/big}}
                      - {name: long, run: sleep 1000}
                    """)
                let run = try await vmlab.start(["run", "lab.yaml", "--out", "out"])
                switch moment {
                case .machineStarted: _ = try await run.machine("box")
                case .guestReady: _ = try await run.event("guestReady")
                case .filesGoIn: try await run.taskStarted("copy")
                case .midTask: try await run.taskStarted("long")
                }
                run.send(SIGKILL)
                let killed = try await run.ended(within: .seconds(10))
                #expect(killed.status == -SIGKILL)
                #expect(!vmlab.leftovers.isEmpty, "a killed run cannot have cleaned up")

                let collected = try await vmlab("gc")
                #expect(collected.status == 0, "\(collected.everything)")
                #expect(collected.out.contains("killed"))
                #expect(vmlab.leftovers.isEmpty)
                let again = try await vmlab("gc")
                #expect(again.status == 0 && again.out == "nothing to remove\n", "\(again.everything)")
            }
        }
    }
}
