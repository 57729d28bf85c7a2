import Glibc
import HostSystem
import LabResults
import LabTestSupport
import Testing

extension GuestTests {
    /// Who reads what a run says, or does not, never stops it: guests keep their deadlines, signals work, results are whole.
    @Suite struct ReaderTests {
        /// Says more than a small pipe or a terminal takes, and has a deadline to keep.
        private static func lab(timeout: String) -> String {
            """
            lab: unread
            guests:
              box: {image: busybox, memory: 128MiB}
            tasks:
              - {name: many, run: 'true', repeat: 60}
              - {name: late, run: sleep 1000, timeout: \(timeout)}
            """
        }

        /// Who does not read.
        enum Reader: CaseIterable {
            /// A pipe of which nothing is read.
            case pipe
            /// A terminal that was stopped with Ctrl-S.
            case terminal
        }

        /// The two ends of what is not read: ours, and the one that vmlab writes to.
        private static func ends(of reader: Reader) throws -> (ours: Int32, output: Int32) {
            switch reader {
            case .pipe:
                let pipe = try DescriptorPair.pipe()
                // F_SETPIPE_SZ, which the Glibc module does not have.
                #expect(fcntl(pipe.second.number, 1031, 4096) == 4096)
                return (pipe.first.release(), pipe.second.release())
            case .terminal:
                var (ours, output): (Int32, Int32) = (-1, -1)
                try systemCall("openpty") { openpty(&ours, &output, nil, nil, nil) }
                #expect(tcflow(output, TCOOFF) == 0)
                return (ours, output)
            }
        }

        private static func start(_ vmlab: VMLab, _ reader: Reader, _ output: Int32) async throws -> RunningCommand {
            try await vmlab.start(
                ["run", "lab.yaml", "--out", "out"] + (reader == .pipe ? ["--json"] : []),
                environment: ["TERM": "xterm"], standardOutput: .descriptor(output))
        }

        @Test(
            "A run whose reader stands still keeps its deadlines and ends; the reader gets all when it goes on",
            arguments: Reader.allCases)
        func aReaderThatStandsStill(_ reader: Reader) async throws {
            try await VMLab.with { vmlab in
                try vmlab.write("lab.yaml", Self.lab(timeout: "2s"))
                let (ours, output) = try Self.ends(of: reader)
                defer { close(ours) }
                let run = try await Self.start(vmlab, reader, output)
                let junit = try await run.wait(for: "junit.xml") { try? vmlab.text("out/junit.xml") }
                #expect(junit.contains("</testsuites>"))
                let report = try vmlab.report()
                #expect(report.exitStatus == 4)
                #expect(try report.task("late").outcome == .timeout)
                #expect(report.tasks.count { $0.outcome == .passed } == 60)
                #expect(run.child.exitStatus == nil, "what it has to say is not lost")
                if reader == .terminal { #expect(tcflow(output, TCOON) == 0) }
                close(output)
                let cat = try await ChildProcess.spawn(
                    ChildConfiguration(
                        executable: "/bin/cat", standardInput: .descriptor(ours),
                        standardOutput: .file("\(vmlab.path)/read")))
                let ended = try await run.ended(within: .seconds(60))
                #expect(ended.status == 4, "\(ended.everything)")
                _ = try await cat.wait()
                let read = try vmlab.text("read")
                switch reader {
                case .pipe: #expect(read == (try vmlab.text("out/events.jsonl")))
                case .terminal: #expect(read.contains("results: "), "\(read)")
                }
            }
        }

        @Test("Ctrl-C ends a run whose reader stands still", arguments: Reader.allCases)
        func anInterruptedRun(_ reader: Reader) async throws {
            try await VMLab.with { vmlab in
                try vmlab.write("lab.yaml", Self.lab(timeout: "1000s"))
                let (ours, output) = try Self.ends(of: reader)
                defer {
                    close(ours)
                    close(output)
                }
                let run = try await Self.start(vmlab, reader, output)
                try await run.taskStarted("late")
                run.send(SIGINT)
                let ended = try await run.ended(within: .seconds(60))
                #expect(ended.status == 130, "\(ended.everything)")
                #expect(ended.err.contains("standard output accepts no more output"), "\(ended.err)")
                let report = try vmlab.report()
                #expect(report.status == "interrupted" && report.exitStatus == 130)
                #expect(vmlab.events().last?.event == "runFinished")
                #expect(try vmlab.text("out/junit.xml").contains("</testsuites>"))
                #expect(vmlab.machines.isEmpty)
            }
        }
    }
}
