import Diagnostics
import Dispatch
import Synchronization
import Testing

@testable import LabResults

/// A terminal that understands what the sink uses, and fails on anything else.
struct FakeTerminal {
    private(set) var rows: [[Character]] = [[]]
    private var row = 0
    private var column = 0
    let columns: Int
    private(set) var unknown: [String] = []
    private(set) var wrapped = false

    init(columns: Int) { self.columns = columns }

    mutating func write(_ text: String) {
        var rest = Substring(text)
        while let character = rest.popFirst() {
            switch character {
            case "\r\n":
                row += 1
                column = 0
                if row == rows.count { rows.append([]) }
            case "\r": column = 0
            case "\u{1B}":
                let end = rest.firstIndex { $0.isLetter } ?? rest.index(before: rest.endIndex)
                control(String(rest[...end]))
                rest = rest[rest.index(after: end)...]
            default:
                if column >= columns { wrapped = true }
                while rows[row].count <= column { rows[row].append(" ") }
                rows[row][column] = character
                column += 1
            }
        }
    }

    private mutating func control(_ code: String) {
        switch code.last {
        case "A": row = max(0, row - (Int(code.dropFirst().dropLast()) ?? 1))
        case "K": rows[row] = Array(rows[row].prefix(column))
        case "J":
            rows[row] = Array(rows[row].prefix(column))
            rows.removeLast(rows.count - row - 1)
        case "h", "l", "m": break
        default: unknown.append(code)
        }
    }

    var screen: String { rows.map { String($0) + "\n" }.joined() }
}

@Suite struct TerminalTests {
    /// Plays the script and draws at each event; the screens, and the terminal at the end.
    private func screens(columns: Int, rows: Int, style: TextStyle) -> (String, FakeTerminal) {
        let out = Collected()
        let clock = ManualClock()
        let run = clock.run
        let sink = TerminalSink(
            out.stream, style: style, directory: "results/mixed-fleet", size: { .init(columns: columns, rows: rows) },
            clock: run, ticks: false)
        let recorder = RunRecorder(sinks: [sink], clock: run)
        var terminal = FakeTerminal(columns: columns)
        var frames = ""
        for (time, event) in script() {
            clock.now = time
            recorder.emit(event)
            sink.tick()
            terminal.write(out.take())
            frames += "---- \(time)\n\(terminal.screen)"
        }
        recorder.finish()
        terminal.write(out.take())
        return (frames, terminal)
    }

    @Test func frames() throws {
        let (frames, terminal) = screens(columns: 80, rows: 24, style: TextStyle(colour: false, unicode: true))
        try expectGolden(frames, "terminal.txt")
        #expect(terminal.unknown.isEmpty)
        #expect(!terminal.screen.contains("░"))
    }

    @Test(arguments: [1, 10, 27, 40, 79], [1, 2, 3, 5, 24]) func nothingWraps(columns: Int, rows: Int) {
        let out = Collected()
        let clock = ManualClock()
        let run = clock.run
        let sink = TerminalSink(
            out.stream, style: TextStyle(colour: true, unicode: true), size: { .init(columns: columns, rows: rows) },
            clock: run, ticks: false)
        let recorder = RunRecorder(sinks: [sink], clock: run)
        var terminal = FakeTerminal(columns: columns)
        for (time, event) in script().dropLast() {
            clock.now = time
            recorder.emit(event)
            sink.tick()
            terminal.write(out.take())
        }
        #expect(!terminal.wrapped)
        #expect(terminal.unknown.isEmpty)
    }

    @Test func manyGuestsAreBoundedByTheHeight() {
        var live = LiveView()
        for guest in 1...100 {
            let event = RunEvent.guestBooting(guest: "g-\(guest)", backend: "qemu-tcg", boot: .cold)
            live.receive(RecordedEvent(sequence: guest, elapsed: 0, time: 0, event: event))
        }
        let lines = live.lines(tally: RunTally(), now: 1.25, style: .plain, size: .init(columns: 80, rows: 10))
            .map { $0.rendered(.plain) }
        #expect(lines.count == 9)
        #expect(lines[0] == "g-1  booting  1.2 s")
        #expect(lines[7] == "... and 93 more")
        #expect(lines[8] == "[------------------------] 0/0  1.2 s  guests: 100 booting")
    }

    @Test("The words of the sum are seen before the length of its bar", arguments: [60, 80, 120])
    func sum(columns: Int) {
        var live = LiveView()
        for (number, guest) in ["a", "b"].enumerated() {
            live.receive(
                RecordedEvent(sequence: number, elapsed: 0, time: 0, event: .guestReady(guest: guest, seconds: 1)))
        }
        live.receive(
            RecordedEvent(
                sequence: 3, elapsed: 0, time: 0, event: .taskStarted(TaskID(task: "t", guest: "a"), attempt: 1)))
        live.receive(RecordedEvent(sequence: 4, elapsed: 0, time: 0, event: .interrupted(reason: "")))
        let lines = live.lines(
            tally: RunTally(), now: 2, style: .plain, size: TerminalSink.Size(columns: columns, rows: 10))
        let sum = lines.last?.rendered(.plain, columns: columns) ?? ""
        #expect(sum.hasSuffix("] 0/0  2.0 s  guests: 1 running, 1 idle  stopping"), "\(sum)")
        #expect(sum.contains("[----------"))
    }

    @Test("N26: a session's lines fit the terminal, broken between words")
    func brokenLines() {
        let out = Collected()
        let sink = PlainSink(out.stream, columns: { 30 })
        sink.receive(
            RecordedEvent(
                sequence: 1, elapsed: 1, time: 0, event: .note(level: .info, message: "more words than fit one line")))
        #expect(out.text == "[    1.0s] more words than fit\n    one line\n")
    }

    @Test("A7: the live view shows what each running command has printed last")
    func lastLines() {
        var live = LiveView()
        let id = TaskID(task: "slow", guest: "lin")
        func lines() -> [String] {
            live.lines(tally: RunTally(), now: 2, style: .plain, size: .init(columns: 80, rows: 10))
                .dropLast().map { $0.rendered(.plain) }
        }
        live.receive(RecordedEvent(sequence: 1, elapsed: 0, time: 0, event: .guestReady(guest: "lin", seconds: 1)))
        live.receive(RecordedEvent(sequence: 2, elapsed: 0.5, time: 0, event: .taskStarted(id, attempt: 1)))
        live.show("17 of 100\u{1b}[2J", of: "lin")
        #expect(lines() == ["lin  slow  1.5 s  17 of 100"])
        live.show("18 of 100", of: "lin")
        #expect(lines() == ["lin  slow  1.5 s  18 of 100"])
        live.receive(
            RecordedEvent(
                sequence: 3, elapsed: 2, time: 0, event: .taskFinished(TaskResult(id: id, outcome: .passed))))
        #expect(lines() == [])
    }

    @Test func aStoppedTerminalDoesNotStopTheRun() {
        let isWriting = DispatchSemaphore(value: 0)
        let mayGoOn = DispatchSemaphore(value: 0)
        let stream = TextStream { _ in
            isWriting.signal()
            mayGoOn.wait()
        }
        let sink = TerminalSink(stream, style: .plain, size: { .init(columns: 80, rows: 24) })
        let recorder = RunRecorder(sinks: [sink])
        recorder.emit(script()[0].1)
        isWriting.wait()
        // The timer's thread is stuck in its write; these return all the same.
        for (_, event) in script().dropFirst().dropLast() { recorder.emit(event) }
        for _ in 0..<100 { mayGoOn.signal() }
        recorder.finish()
    }

    @Test func aTickerDrawsBetweenEventsAndEndsWithTheRun() async throws {
        let out = Collected()
        let sink = TerminalSink(out.stream, style: .plain, size: { .init(columns: 80, rows: 24) })
        let recorder = RunRecorder(sinks: [sink])
        for (_, event) in script().prefix(8) { recorder.emit(event) }
        var drawn = ""
        let deadline = ContinuousClock.now + .seconds(10)
        while !drawn.contains("booting"), ContinuousClock.now < deadline {
            try await Task.sleep(for: .milliseconds(20))
            drawn += out.take()
        }
        #expect(drawn.contains("booting"))
        recorder.finish()
        _ = out.take()
        sink.tick()
        #expect(out.take().isEmpty)
    }

    @Test func aNarrowerWindowIsClearedWhole() {
        let out = Collected()
        let columns = Mutex(80)
        let clock = ManualClock()
        let sink = TerminalSink(
            out.stream, style: .plain, size: { .init(columns: columns.withLock { $0 }, rows: 24) }, clock: clock.run,
            ticks: false)
        let recorder = RunRecorder(sinks: [sink], clock: clock.run)
        recorder.emit(.guestBooting(guest: "a-guest-with-a-long-name-000", backend: "b", boot: .cold))
        sink.tick()
        _ = out.take()
        columns.withLock { $0 = 30 }
        sink.tick()
        // 41 columns and 55 columns were shown: two rows each once the window has only 30.
        #expect(out.take().contains("\r\u{1B}[4A"))
    }

    @Test func withoutATerminalItIsEightyByTwentyFour() {
        #expect(TerminalSink.Size.of(-1) == TerminalSink.Size(columns: 80, rows: 24))
        #expect(TerminalSink.Size(columns: -3, rows: 0) == TerminalSink.Size(columns: 1, rows: 1))
    }

    @Test func widths() {
        #expect(displayWidth("日本e\u{301}") == 5)
        #expect(truncated("日本語", to: 5, ellipsis: "…") == "日本…")
        #expect(truncated("abc", to: 3, ellipsis: "…") == "abc")
        #expect(visibleLines("a\tb\r\nc\rd\n") == ["a       b", "c", "d"])
        #expect(visible("x\u{1B}[2Jy\u{1B}]0;t\u{1B}\\z\u{1B}(Bq\u{9B}1mr\u{1B}Pdcs") == "xyzqr")
        var line = StyledLine("abc", .good)
        line.add("def", .bad)
        #expect(
            line.rendered(TextStyle(colour: true, unicode: true), columns: 5)
                == "\u{1B}[32mabc\u{1B}[0m\u{1B}[31md…\u{1B}[0m")
        #expect(line.rendered(.plain, columns: 3) == "...")
        #expect(line.rendered(.plain) == "abcdef")
    }

    @Test(
        "A line is cut between words, so that no number loses its unit's half; long words keep their beginnings",
        arguments: [
            (24, "copied 64 MiB, 2.3 MiB/s"), (23, "copied 64 MiB, 2.3 …"), (20, "copied 64 MiB, 2.3 …"),
            (19, "copied 64 MiB, 2.3…"), (18, "copied 64 MiB, …"), (13, "copied 64 …"), (6, "copie…"), (1, "…"),
        ])
    func cuts(columns: Int, shown: String) {
        let style = TextStyle(colour: false, unicode: true)
        #expect(StyledLine("copied 64 MiB, ").adding("2.3 MiB/s").rendered(style, columns: columns) == shown)
        let path = StyledLine("  /usr/lib/python3/dist-packages/attr/validators.py: ok")
        #expect(path.rendered(style, columns: 30) == "  /usr/lib/python3/dist-packa…")
    }

    @Test("N25: what a script says in several lines is shown in several lines")
    func severalLines() {
        var formatter = EventFormatter(.results, style: .plain, directory: nil)
        let event = RunEvent.note(level: .info, message: "one\n  two\u{1B}[31m\nthree")
        let lines = formatter.tell(RecordedEvent(sequence: 1, elapsed: 0, time: 0, event: event))
        #expect(lines == ["one", "  two", "three"])
    }

    @Test("N26: long lines are wrapped between words, their colours kept")
    func wrapping() {
        var line = StyledLine("one two ", .good)
        line.add("three four", .bad)
        #expect(line.wrapped(to: 100).map { $0.rendered(.plain) } == ["one two three four"])
        #expect(line.wrapped(to: 10).map { $0.rendered(.plain) } == ["one two", "    three", "    four"])
        let colours = TextStyle(colour: true, unicode: true)
        #expect(line.wrapped(to: 10).last?.rendered(colours) == "    \u{1B}[31mfour\u{1B}[0m")
        #expect(StyledLine("abcdefghij").wrapped(to: 8).map { $0.rendered(.plain) } == ["abcdefgh", "    ij"])
        for columns in 1...20 {
            let lines = StyledLine("a word that-is-longer-than-a-line 日本語 end").wrapped(to: columns)
            let text = lines.map { $0.rendered(.plain).filter { $0 != " " } }.joined()
            #expect(text == "awordthat-is-longer-than-a-line日本語end")
            #expect(columns < 2 || lines.allSatisfy { displayWidth($0.rendered(.plain)) <= columns })
        }
    }

    @Test("N26: names too long for the table lose their middle, and what became of them is seen")
    func narrowTable() {
        let name = "a-task-with-a-name-that-is-much-longer-than-sixty-columns-of-a-terminal"
        var tally = RunTally()
        var result = TaskResult(id: TaskID(task: name, guest: "lin"), outcome: .failed, started: 0)
        result.duration = 1.5
        tally.receive(.taskFinished(result))
        for columns in [60, 80, 120] {
            let lines = tally.summary(.failed, duration: 2, directory: nil, style: .plain, columns: columns)
            let row = lines.first { $0.hasPrefix("a-task") } ?? ""
            #expect(row.contains("  failed  ") && row.hasSuffix("1.50 s") && row.count <= columns, "\(row)")
            #expect(row.contains("terminal "), "\(row)")
        }
        #expect(shortened("abcdefghij", to: 7, ellipsis: "...") == "ab...ij")
        #expect(shortened("abcdefghij", to: 7, ellipsis: "…") == "abc…hij")
        #expect(shortened("abc", to: 3, ellipsis: "…") == "abc" && shortened("abcd", to: 0, ellipsis: "…").isEmpty)
    }

    @Test("N27: numbers and words agree")
    func plurals() {
        var tally = RunTally()
        for outcome in [Outcome.error, .error, .timeout, .timeout, .passed] {
            tally.receive(.taskFinished(TaskResult(id: TaskID(task: "t", guest: "g"), outcome: outcome, started: 0)))
        }
        let said = tally.lastWord(.infrastructure, duration: 1).rendered(.plain)
        #expect(said == "1 passed, 2 timed out, 2 errors in 1.00 s")
    }
}
