import Diagnostics
import Quantities

/// What a person wants to know of a run at its end, in little memory: a row per task name, and the first failures.
struct RunTally {
    /// All runs of one task.
    struct Row {
        var name: String
        var declared = 0
        var done = 0
        var passed = 0
        var worst = Outcome.passed
        /// Seconds of the slowest run; nil while none has run.
        var slowest: Double?
    }

    struct Failure {
        var label: String
        var outcome: Outcome
        var message: String
        var output: String?
    }

    static let failureLimit = 50

    private(set) var rows: [Row] = []
    private var places: [String: Int] = [:]
    private(set) var failures: [Failure] = []
    private(set) var failureCount = 0
    private(set) var counts: [Outcome: Int] = [:]
    private(set) var declared = 0
    private(set) var done = 0
    private(set) var guestCount = 0
    /// The widest guest name, within reason.
    private(set) var guestWidth = 0

    var total: Int { max(declared, done) }
    var bad: Int { counts.reduce(0) { $0 + ($1.key.isSuccess || $1.key == .skipped ? 0 : $1.value) } }

    mutating func receive(_ event: RunEvent) {
        switch event {
        case .runStarted(let description):
            guestCount = description.guests.count
            guestWidth = min(20, description.guests.map { displayWidth(visible($0.name)) }.max() ?? 0)
            declared = description.tasks.count
            for id in description.tasks { rows[place(id.task)].declared += 1 }
        case .guestDeclared(let guest):
            guestCount += 1
            guestWidth = max(guestWidth, min(20, displayWidth(visible(guest.name))))
        case .guestFailed(let guest, let outcome, let message, _):
            fail(Failure(label: guest, outcome: outcome, message: message, output: RunDirectory.consoleLog(guest)))
        case .taskFinished(let result): finish(result)
        default: break
        }
    }

    private mutating func place(_ name: String) -> Int {
        if let place = places[name] { return place }
        places[name] = rows.count
        rows.append(Row(name: name))
        return rows.count - 1
    }

    private mutating func fail(_ failure: Failure) {
        failureCount += 1
        if failures.count < Self.failureLimit { failures.append(failure) }
    }

    private mutating func finish(_ result: TaskResult) {
        done += 1
        counts[result.outcome, default: 0] += 1
        let row = place(result.id.task)
        rows[row].done += 1
        if result.outcome.isSuccess { rows[row].passed += 1 }
        if result.outcome.gravity > rows[row].worst.gravity { rows[row].worst = result.outcome }
        if result.outcome != .skipped { rows[row].slowest = max(rows[row].slowest ?? 0, result.duration) }
        if !result.outcome.isSuccess, result.outcome != .skipped {
            fail(
                Failure(
                    label: result.id.label + (result.id.guest.map { " on \($0)" } ?? ""), outcome: result.outcome,
                    message: result.message ?? "", output: result.outputPath))
        }
    }

    /// The table of results, the failures and the last lines. Only the table is fitted to the columns: copied paths must stay
    /// whole.
    func summary(_ status: ExitStatus, duration: Double, directory: String?, style: TextStyle, columns: Int = .max)
        -> [String]
    {
        var lines = table(style, columns: columns).map { $0.rendered(style, columns: columns) }
        if !lines.isEmpty { lines.insert("", at: 0) }
        if !failures.isEmpty {
            lines += ["", StyledLine("Failures:", .strong).rendered(style)]
            for failure in failures { lines += describe(failure, directory, style) }
            if failureCount > failures.count {
                lines.append("  \(style.ellipsis) and \(failureCount - failures.count) more")
            }
        }
        lines += ["", lastWord(status, duration: duration).rendered(style)]
        if let directory { lines.append("results: \(style.safe(directory))") }
        return lines
    }

    private func describe(_ failure: Failure, _ directory: String?, _ style: TextStyle) -> [String] {
        var line = StyledLine("  \(style.safe(failure.label)): ")
        line.add(failure.outcome.rawValue, Colour(failure.outcome))
        if !failure.message.isEmpty { line.add(": \(style.safe(failure.message))") }
        var lines = [line.rendered(style)]
        if let output = failure.output {
            lines.append("    \(style.safe(directory.map { "\($0)/" } ?? ""))\(style.safe(output))")
        }
        return lines
    }

    private func table(_ style: TextStyle, columns: Int) -> [StyledLine] {
        guard !rows.isEmpty else { return [] }
        let runs = rows.map { "\($0.passed)/\(max($0.declared, $0.done))" }
        let runWidth = max(6, runs.map(\.count).max() ?? 0)
        // The columns after the name must be visible: PASSED, OUTCOME and SLOWEST with the blanks before them.
        let room = max(8, columns - runWidth - 21)
        let names = rows.map { shortened(style.safe($0.name), to: room, ellipsis: style.ellipsis) }
        let nameWidth = max(4, names.map { displayWidth($0) }.max() ?? 0)
        var lines = [
            StyledLine(
                "\(padEnd("TASK", nameWidth))  \(pad("PASSED", runWidth))  \(padEnd("OUTCOME", 8))  SLOWEST", .strong)
        ]
        for (place, row) in rows.enumerated() {
            var line = StyledLine("\(padEnd(names[place], nameWidth))  \(pad(runs[place], runWidth))  ")
            // A task that never ended has no outcome, least of all "passed".
            let outcome = row.done < row.declared && row.worst.isSuccess ? .skipped : row.worst
            line.add(padEnd(outcome.rawValue, 8), Colour(outcome))
            line.add("  " + pad(row.slowest.map(durationText) ?? "-", 7))
            lines.append(line)
        }
        return lines
    }

    /// `12 passed, 1 failed in 12.3 s`.
    func lastWord(_ status: ExitStatus, duration: Double) -> StyledLine {
        var line = StyledLine()
        for outcome in Outcome.allCases {
            guard let count = counts[outcome], count > 0 else { continue }
            if !line.parts.isEmpty { line.add(", ") }
            line.add(outcome.counted(count), Colour(outcome))
        }
        if line.parts.isEmpty { line.add("no task ran") }
        if done < declared { line.add(", \(declared - done) not run") }
        line.add(" in \(durationText(duration))")
        if status == .interrupted { line.add(" (interrupted)", .doubtful) }
        if status == .infrastructure, bad == 0 { line.add(" (a guest failed)", .bad) }
        return line
    }
}

extension Outcome {
    /// `2 failed`, `1 error`, `2 timed out`.
    fileprivate func counted(_ count: Int) -> String {
        switch self {
        case .timeout: "\(count) timed out"
        case .error: LabResults.counted(count, "error")
        default: "\(count) \(rawValue)"
        }
    }

    private static let byGravity: [Outcome] = [.passed, .flaky, .skipped, .failed, .timeout, .error, .panicked]

    /// The greater, the more it matters among the runs of one task.
    public var gravity: Int { Self.byGravity.firstIndex(of: self) ?? 0 }
}

extension TaskID {
    /// The task with its repetition, for people: `shard [17]`.
    var label: String { repetitions > 1 ? "\(task) [\(index)]" : task }
}

extension RunReport {
    /// The report as a run's last lines at a terminal: the table, the failures and the sum.
    public func summary(style: TextStyle, directory: String?, columns: Int = .max) -> String {
        var tally = RunTally()
        for task in tasks { tally.receive(.taskFinished(task)) }
        for guest in guests {
            guard let outcome = guest.outcome else { continue }
            tally.receive(
                .guestFailed(guest: guest.guest.name, outcome: outcome, message: guest.reason ?? "", consoleTail: []))
        }
        let status = exitStatus.flatMap(ExitStatus.init(rawValue:)) ?? .interrupted
        return tally.summary(status, duration: duration, directory: directory, style: style, columns: columns)
            .joined(separator: "\n") + "\n"
    }
}
