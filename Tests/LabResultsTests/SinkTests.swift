import Diagnostics
import Foundation
import Glibc
import Testing

@testable import LabResults

@Suite struct SinkTests {
    @Test func plainLines() throws {
        let out = Collected()
        play([PlainSink(out.stream, directory: "results/mixed-fleet")])
        try expectGolden(out.text, "plain.txt")
    }

    @Test func quietLines() throws {
        let out = Collected()
        play([PlainSink(out.stream, directory: "results/mixed-fleet", isQuiet: true)])
        try expectGolden(out.text, "quiet.txt")
    }

    @Test func jsonLines() throws {
        let out = Collected()
        play([JSONLinesSink(out.stream)])
        try expectGolden(out.text, "events.jsonl")
        let lines = out.text.split(separator: "\n")
        #expect(lines.count == script().count)
        for (place, line) in lines.enumerated() {
            let object = try #require(JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
            #expect(object["seq"] as? Int == place + 1)
        }
    }

    @Test("Every event is read back from its line as it was")
    func eventsAreReadBack() throws {
        for (place, (elapsed, event)) in (script() + Self.otherEvents).enumerated() {
            let recorded = RecordedEvent(
                sequence: place + 1, elapsed: elapsed, time: ManualClock.start + elapsed, event: event)
            let read = try RecordedEvent(line: recorded.line.utf8)
            #expect(read.event == event && read.sequence == place + 1 && read.elapsed == elapsed, "\(recorded.line)")
            #expect(abs(read.time - recorded.time) < 0.001 && read.line == recorded.line)
        }
        for line in ["", "{", "[]", "{}", #"{"seq":1,"t":0,"time":"","event":"other"}"#] {
            #expect(throws: (any Error).self) { try RecordedEvent(line: line.utf8) }
        }
    }

    /// Events that the script has not.
    private static let otherEvents: [(Double, RunEvent)] = {
        let id = TaskID(task: "t \u{1B}\u{85}", guest: nil)
        let step = StepID(task: id, number: 2, guest: "lin", call: "succeed", text: "true", place: "a.lua:3")
        var result = tried(.flaky)
        result.trouble = [GuestTrouble(guest: "lin", kind: "oops", message: "BUG:", lines: ["a", "b"])]
        result.outputDropped = 7
        return [
            (1, .imageProgress(image: "debian", step: "kernel", fraction: 0.25)),
            (1, .imageProgress(image: "debian", step: "kernel", fraction: nil)),
            (
                2,
                .guestDeclared(
                    GuestDescription(
                        name: "a", group: "g", image: "i", os: "linux", memory: 1 << 30, cpus: 2, backend: "kvm"))
            ),
            (2, .guestQueued(guest: "a", reason: "memory")), (3, .guestParked(guest: "a", reason: "memory")),
            (3, .guestReplaced(guest: "a", reason: "lost")), (4, .taskNote(id, message: "again")),
            (4, .stepStarted(step)),
            (
                5,
                .stepFinished(
                    StepResult(
                        id: step, outcome: .failed, exit: -1, started: 4, duration: 1, message: "m", outputTail: "o"))
            ),
            (6, .taskFinished(result)),
        ]
    }()

    @Test func resultsAreInDeclaredOrderAndReadBack() throws {
        try withFolder { folder in
            let sink = ReportSink([.resultsJSON("\(folder)/results.json")])
            play([sink])
            #expect(sink.problems.isEmpty)
            try expectGolden(try text("\(folder)/results.json"), "results.json")
            let report = try ResultsFile.load(folder)
            #expect(report == sink.report)
            #expect(
                report.tasks.map { "\($0.id.task) \($0.id.guest ?? "-") \($0.id.index) \($0.outcome)" } == [
                    "kernel lin-1 1 failed", "kernel lin-2 1 passed", "version win-1 1 skipped",
                    "shard lin-2 1 panicked", "shard lin-1 2 flaky", "shard - 3 skipped", "after win-1 1 skipped",
                ])
            #expect(report.guests.map(\.end) == ["orderly", "failed", nil])
            #expect(report.exitStatus == 130)
            let summary = report.summary(style: .plain, directory: folder)
            #expect(summary.contains("shard       1/3  panicked   1m 01s\n"))
            #expect(summary.contains("1 passed, 1 flaky, 1 failed, 1 panicked, 3 skipped in 1m 08s (interrupted)\n"))
        }
    }

    @Test func aRunThatWasKilledIsReadBackFromItsEvents() throws {
        try withFolder { folder in
            let out = Collected()
            let sink = ReportSink([])
            play([JSONLinesSink(out.stream), sink])
            let path = "\(folder)/events.jsonl"
            try Data(out.text.utf8).write(to: URL(filePath: path))
            let whole = try ResultsFile.load(folder)
            #expect(whole.tasks == sink.report.tasks)
            #expect(whole.guests == sink.report.guests)
            #expect(whole.warnings == sink.report.warnings)
            #expect((whole.lab, whole.started, whole.exitStatus) == (sink.report.lab, sink.report.started, 130))
            // Killed in the middle of a line, some time after the first result.
            let lines = out.text.components(separatedBy: "\n")
            let first = try #require(lines.firstIndex { $0.contains(#""event":"taskFinished""#) })
            let torn = lines[...first].joined(separator: "\n") + "\n" + lines[first + 1].prefix(20)
            try Data(torn.utf8).write(to: URL(filePath: path))
            let report = try ResultsFile.load(folder)
            #expect(report.exitStatus == nil && report.status == "interrupted")
            #expect(report.tasks.filter { $0.outcome != .skipped }.count == 1)
            try Data("{}\nnothing\n".utf8).write(to: URL(filePath: path))
            #expect(throws: Diagnostic.self) { try ResultsFile.load(folder) }
        }
    }

    @Test func anInterruptedRunLeavesItsResultsBeforeItEnds() throws {
        try withFolder { folder in
            let events = Array(script().prefix { if case .interrupted = $0.1 { false } else { true } })
            let clock = ManualClock()
            let sink = ReportSink([.resultsJSON("\(folder)/results.json"), .junit("\(folder)/junit.xml")])
            let recorder = RunRecorder(sinks: [sink], clock: clock.run)
            for (_, event) in events { recorder.emit(event) }
            #expect(throws: (any Error).self) { try ResultsFile.load(folder) }
            recorder.emit(.interrupted(reason: "SIGTERM"))
            let report = try ResultsFile.load(folder)
            #expect(report.status == "interrupted")
            #expect(report.interrupted == "SIGTERM")
            #expect(try text("\(folder)/junit.xml").hasSuffix("</testsuites>\n"))
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder).count == 2)
        }
    }

    @Test func junit() throws {
        try withFolder { folder in
            play([ReportSink([.junit("\(folder)/junit.xml")])])
            try expectGolden(try text("\(folder)/junit.xml"), "junit.xml")
        }
    }

    /// A task that went so, after an attempt that failed and one that lost its guest.
    private static func tried(_ outcome: Outcome, _ text: String = "good\n") -> TaskResult {
        let id = TaskID(task: "t", guest: "lin")
        var result = TaskResult(id: id, outcome: outcome, exit: 0, duration: 3, attempts: 3, outputTail: text)
        result.earlier = [
            TaskResult(
                id: id, outcome: .failed, exit: 3, duration: 1.5, attempts: 1, message: "exit status 3, expected 0",
                outputBytes: 6, outputTail: "first\n", outputPath: "tasks/t/lin/attempt-1/output"),
            TaskResult(id: id, outcome: .error, attempts: 2, message: text, outputTail: text, consoleTail: [text]),
        ]
        return result
    }

    @Test("N21: JUnit tells of each attempt as Surefire does")
    func attempts() throws {
        var report = RunReport()
        report.tasks = [Self.tried(.flaky)]
        let flaky = JUnitReport.xml(report)
        #expect(
            flaky.contains(
                """
                      <flakyFailure type="failed" message="attempt 1: exit status 3, expected 0">
                        <stackTrace>on lin, 1.500 s</stackTrace>
                        <system-out>first</system-out>
                      </flakyFailure>
                      <flakyError type="error" message="attempt 2: good
                """))
        report.tasks = [Self.tried(.failed)]
        let failed = JUnitReport.xml(report)
        #expect(failed.contains("<failure type=\"failed\"") && failed.contains("<rerunFailure type=\"failed\""))
        #expect(failed.contains("<rerunError type=\"error\"") && !failed.contains("flaky"))
    }

    @Test("N21: attempts are in results.json, and are read back from the events of a run that was killed")
    func attemptsAreReadBack() throws {
        try withFolder { folder in
            var events = script()
            let result = Self.tried(.flaky)
            events.insert((0.5, .taskFinished(result)), at: 1)
            play([JSONLinesSink(TextStream(path: "\(folder)/\(RunDirectory.events)"))], events)
            let report = try ResultsFile.load(folder)
            let task = try #require(report.tasks.first { $0.id.task == "t" })
            #expect(task.earlier.map(\.outputTail) == ["first\n", "good\n"] && task == result)
            let json = String(decoding: report.text, as: UTF8.self)
            #expect(json.contains("\"earlier\" : ["))
        }
    }

    static let xmllint = ["/usr/bin/xmllint", "/usr/local/bin/xmllint"].first {
        FileManager.default.isExecutableFile(atPath: $0)
    }

    @Test(.enabled(if: xmllint != nil, "xmllint is missing (Debian package libxml2-utils)"))
    func junitIsValidWhateverGuestsPrint() throws {
        let tool = try #require(Self.xmllint)
        try withFolder { folder in
            let path = "\(folder)/junit.xml"
            var events = script()
            // Every scalar below 0x300, the ends of the planes, and raw bytes that are not UTF-8.
            let all = (0..<0x300).compactMap { Unicode.Scalar($0) } + ["\u{FFFE}", "\u{FFFF}", "\u{10FFFF}"]
            let raw = String(decoding: (0...255).map { UInt8($0) }, as: UTF8.self)
            let everything = String(String.UnicodeScalarView(all)) + raw + hostile
            for outcome in Outcome.allCases {
                let result = TaskResult(
                    id: TaskID(task: everything, guest: everything), outcome: outcome, message: everything,
                    outputTail: everything, consoleTail: [everything], outputPath: everything)
                events.insert((0, .taskFinished(result)), at: events.count - 1)
            }
            for outcome in [Outcome.flaky, .failed] {
                events.insert((0, .taskFinished(Self.tried(outcome, everything))), at: events.count - 1)
            }
            play([ReportSink([.junit(path)])], events)
            let process = Process()
            process.executableURL = URL(filePath: tool)
            process.arguments = ["--noout", "--schema", "\(fixtures)/junit.xsd", path]
            let pipe = Pipe()
            process.standardError = pipe
            try process.run()
            let said = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            process.waitUntilExit()
            #expect(process.terminationStatus == 0, "\(said)")
        }
    }

    @Test func noSinkForPeoplePassesAGuestsControlCharacters() {
        let everything = String(decoding: (0...255).map { UInt8($0) }, as: UTF8.self) + hostile + "\u{90}q\u{9C}"
        let guest = everything
        var events = script()
        events.insert(
            (0.8, .guestFailed(guest: guest, outcome: .error, message: everything, consoleTail: [everything])), at: 8)
        events.insert((0.8, .note(level: .warning, message: everything)), at: 8)
        events.insert((0.8, .imageProgress(image: everything, step: everything, fraction: .nan)), at: 2)
        events.insert((0.9, .guestBooting(guest: everything, backend: everything, boot: .cold)), at: 8)
        for style in [TextStyle.plain, TextStyle(colour: false, unicode: true)] {
            let out = Collected()
            play([PlainSink(out.stream, style: style), PlainSink(out.stream, style: style, isQuiet: true)], events)
            let bad = out.text.unicodeScalars.filter {
                $0.value < 0x20 && $0 != "\n" || (0x7F...0x9F).contains($0.value) || $0 == "\u{202E}"
                    || !style.unicode && !$0.isASCII
            }
            #expect(bad.isEmpty, "\(bad)")
        }
    }

    @Test func aThousandTasksStayReadable() {
        let ids = (1...1000).map { TaskID(task: "shard", guest: "g-\($0 % 4)", index: $0, repetitions: 1000) }
        var events: [(Double, RunEvent)] = [
            (
                0,
                .runStarted(
                    RunDescription(
                        lab: "big", cell: nil, file: "big.yaml",
                        host: HostDescription(name: "box", kernel: "6", cores: 2, memory: 1 << 30), guests: [],
                        tasks: ids, version: "0"))
            )
        ]
        let tail = String(repeating: "line\n", count: 100)
        for id in ids {
            events.append((1, .taskFinished(TaskResult(id: id, outcome: .failed, message: "no", outputTail: tail))))
        }
        events.append((2, .runFinished(RunSummary(status: .failed, duration: 2, counts: ["failed": 1000]))))
        let out = Collected()
        play([PlainSink(out.stream)], events)
        let lines = out.text.split(separator: "\n")
        #expect(lines.count < 1000 + EventFormatter.detailedFailures * (EventFormatter.outputLines + 2) + 70)
        // Compared outside the macro: a failure must not print a thousand lines.
        let hasCut = lines.contains("  ... and 950 more")
        let hasRow = lines.contains("shard  0/1000  failed     0.00 s")
        #expect(hasCut && hasRow)
        #expect(lines.last == "1000 failed in 2.00 s")
    }

    @Test func aRecorderNumbersFromOneAndStopsAtItsEnd() throws {
        let out = Collected()
        let recorder = RunRecorder(sinks: [JSONLinesSink(out.stream)], clock: ManualClock().run)
        DispatchQueue.concurrentPerform(iterations: 200) { _ in recorder.emit(.note(level: .info, message: "x")) }
        recorder.finish()
        recorder.emit(.note(level: .info, message: "late"))
        recorder.finish()
        let numbers = out.text.split(separator: "\n").map { $0.prefix { $0 != "," } }
        #expect(numbers == (1...200).map { "{\"seq\":\($0)" })
    }

    @Test func aFullDiskIsAProblemNotACrash() throws {
        let sinks: [any RunSink] = [
            JSONLinesSink(TextStream(path: "/dev/full")),
            ReportSink([.resultsJSON("/proc/none/results.json"), .junit("/dev/full/junit.xml")]),
        ]
        let recorder = RunRecorder(sinks: sinks)
        for (_, event) in script() { recorder.emit(event) }
        recorder.finish()
        #expect(recorder.problems.count == 3)
        #expect(recorder.problems[0].contains("No space left on device (free some space"))
    }

    @Test func aReaderThatGoesAwayIsNoProblem() {
        // As vmlab does for the whole of its life.
        signal(SIGPIPE, SIG_IGN)
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0)
        close(ends[0])
        let stream = TextStream(descriptor: ends[1])
        stream.write("into the void\n")
        stream.write("and again\n")
        #expect(stream.problems.isEmpty)
        close(ends[1])
    }

    @Test(arguments: [
        (["TERM": "xterm", "LANG": "C.UTF-8"], true, SinkSelection.Mode.terminal, true, true),
        (["TERM": "xterm", "LANG": "C.UTF-8", "LC_ALL": "C"], true, .terminal, true, false),
        (["TERM": "xterm", "NO_COLOR": "1"], true, .terminal, false, false),
        (["TERM": "xterm", "NO_COLOR": ""], true, .terminal, true, false),
        (["TERM": "xterm", "CI": "true"], true, .plain, true, false),
        (["TERM": "xterm", "CI": "false"], true, .terminal, true, false),
        (["TERM": "dumb"], true, .plain, false, false), ([:], true, .plain, false, false),
        (["TERM": "xterm", "LANG": "de_DE.utf8"], false, .plain, false, true),
    ])
    func selection(
        environment: [String: String], isTerminal: Bool, mode: SinkSelection.Mode, colour: Bool, unicode: Bool
    ) {
        let choice = SinkSelection(environment: environment, isTerminal: isTerminal)
        #expect(choice.mode == mode)
        #expect(choice.style == TextStyle(colour: colour, unicode: unicode))
        #expect(SinkSelection(quiet: true, environment: environment, isTerminal: isTerminal).mode == .quiet)
        #expect(SinkSelection(quiet: true, json: true, environment: environment, isTerminal: isTerminal).mode == .json)
    }

    @Test("S19: finished tasks take no memory: they lie in a file until the report is written")
    func finishedTasksAreOnDisk() throws {
        func residentMemory() throws -> Int {
            let pages = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8).split(separator: " ")
            return (pages.count > 1 ? Int(pages[1]) ?? 0 : 0) * Int(sysconf(Int32(_SC_PAGESIZE)))
        }
        try withFolder { folder in
            var builder = RunReportBuilder(spoolingIn: folder)
            let tail = String(repeating: "x", count: 4000)
            func finish(_ index: Int) {
                let result = TaskResult(
                    id: TaskID(task: "t", guest: "g", index: index, repetitions: 30_000), outcome: .failed,
                    outputTail: tail + "\(index)")
                builder.receive(RecordedEvent(sequence: index, elapsed: 1, time: 0, event: .taskFinished(result)))
            }
            for index in 1...1000 { finish(index) }
            let before = try residentMemory()
            for index in 1001...30_000 { finish(index) }
            // In memory they would be 120 MB.
            #expect(try residentMemory() - before < 40 << 20)
            #expect(builder.head.counts["failed"] == 30_000)
            let tasks = builder.tasks.enumerated().first { $0.offset == 29_999 }
            #expect(tasks?.element.outputTail == tail + "30000")
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == [])
        }
    }
}
