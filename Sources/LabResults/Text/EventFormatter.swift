import Quantities

/// Formats a run's events as lines for people. The terminal, plain and quiet sinks differ only in detail and destination.
struct EventFormatter {
    enum Detail {
        /// Failures, warnings and the last word.
        case failures
        /// Also every task's end, and the table.
        case results
        /// Also images and guests coming and going, all with times in front.
        case everything
    }

    /// The number of failures shown with output; later ones get one line each, so that a thousand stay readable.
    static let detailedFailures = 20
    static let outputLines = 20
    static let consoleLines = 12
    static let troubleLines = 30
    /// The longest line of a guest that is shown; the file has all of it.
    static let lineLimit = 300

    let detail: Detail
    let style: TextStyle
    /// The results directory, as the user should see it.
    let directory: String?
    private(set) var tally = RunTally()
    private var detailsLeft = EventFormatter.detailedFailures
    private var steps: [String: String] = [:]
    /// Guests whose failure was printed; their end is not printed again.
    private var failedGuests: Set<String> = []
    /// The last console lines shown: a panic is reported for the task and for the guest.
    private var shownConsole: [String] = []

    init(_ detail: Detail, style: TextStyle, directory: String?) {
        self.detail = detail
        self.style = style
        self.directory = directory
    }

    /// The lines for one event, without line ends, none wider than the columns.
    mutating func tell(_ recorded: RecordedEvent, columns: Int = .max) -> [String] {
        tally.receive(recorded.event)
        if case .runFinished(let summary) = recorded.event {
            if detail == .failures {
                var lines = [tally.lastWord(summary.status, duration: summary.duration).rendered(style)]
                if let directory, summary.status != .passed { lines.append("results: \(style.safe(directory))") }
                return lines
            }
            return tally.summary(
                summary.status, duration: summary.duration, directory: directory, style: style, columns: columns)
        }
        var lines = lines(for: recorded.event)
        guard !lines.isEmpty else { return [] }
        if detail == .everything {
            lines[0] = StyledLine("[\(pad(fixed(recorded.elapsed, 1), 7))s] ", .faint).adding(lines[0])
        }
        return lines.flatMap { $0.wrapped(to: columns) }.map { $0.rendered(style) }
    }

    private mutating func lines(for event: RunEvent) -> [StyledLine] {
        switch event {
        case .guestFailed(let guest, let outcome, let message, let consoleTail):
            failedGuests.insert(guest)
            return [head(guest, word(outcome), Colour(outcome)).adding(style.safe(message))] + console(consoleTail)
        case .taskFinished(let result): return finished(result)
        case .note(.warning, let message): return [StyledLine("warning: ", .doubtful).adding(style.safe(message))]
        case .note(.info, let message):
            return detail == .failures ? [] : style.safeLines(message).map { StyledLine($0) }
        case .interrupted(let reason): return [StyledLine(style.safe(reason), .doubtful)]
        case .taskNote(let id, let message):
            guard detail != .failures else { return [] }
            return [head(id.guest ?? "-", "note", .doubtful).adding("\(style.safe(id.label)): \(style.safe(message))")]
        case .guestEnded(let guest, false, let reason):
            guard !failedGuests.contains(guest) else { return [] }
            return [head(guest, "ended", .doubtful).adding(style.safe(reason))]
        case .runStarted(let description): return detail == .failures ? [] : [title(description)]
        case .imageProgress(let image, let step, _):
            // Fractions come often; in a log one line per step is enough.
            guard detail == .everything, steps.updateValue(step, forKey: image) != step else { return [] }
            return [StyledLine("image \(style.safe(image)): \(style.safe(step))")]
        case .fleetAdmitted(let batches, let note):
            guard detail == .everything, batches > 1 || note != nil else { return [] }
            let fleet = batches > 1 ? "guests run in \(batches) batches" : "all guests run at once"
            return [StyledLine(fleet + (note.map { ": \(style.safe($0))" } ?? ""))]
        case .guestQueued(let guest, let reason): return progress(guest, "queued", style.safe(reason))
        case .guestReplaced(let guest, _):
            return [head(guest, "replaced", .doubtful).adding("a fresh guest takes its place")]
        case .guestParked(let guest, let reason): return progress(guest, "parked", style.safe(reason))
        case .guestBooting(let guest, let backend, let boot):
            return progress(guest, "booting", "\(style.safe(backend)), \(boot.rawValue)")
        case .guestReady(let guest, let seconds): return progress(guest, "ready", "in \(durationText(seconds))")
        case .stepFinished(let step): return told(step)
        case .admissionEnded(let summary): return told(summary)
        case .taskStarted, .stepStarted, .guestDeclared, .guestEnded, .runFinished: return []
        }
    }

    /// The result of overcommit; that guests of a strict fleet took turns was reported at the beginning.
    private func told(_ summary: AdmissionSummary) -> [StyledLine] {
        guard detail != .failures, summary.mode != "strict", summary.heldBack + summary.parked > 0 else { return [] }
        var text =
            "at most \(counted(summary.peakGuests, "guest")) at a time, estimated at \(ByteCount(summary.peakMemory))"
        if summary.heldBack > 0 { text += "; \(counted(summary.heldBack, "guest")) waited for memory" }
        if summary.parked > 0 { text += "; \(counted(summary.parked, "guest")) were parked to free memory" }
        if !summary.reasons.isEmpty { text += " (\(summary.reasons.joined(separator: "; ")))" }
        return [StyledLine("admission: \(style.safe(text))")]
    }

    private func title(_ description: RunDescription) -> StyledLine {
        var line = StyledLine("lab \(style.safe(description.lab))", .strong)
        if let cell = description.cell { line.add(" [\(style.safe(cell))]") }
        line.add(": \(counted(description.guests.count, "guest")), \(counted(description.tasks.count, "task run"))")
        let host = description.host
        line.add(" (\(style.safe(host.name)), \(counted(host.cores, "core")), \(ByteCount(host.memory)))", .faint)
        return line
    }

    private func progress(_ guest: String, _ state: String, _ text: String) -> [StyledLine] {
        detail == .everything ? [head(guest, state, .busy).adding(text)] : []
    }

    /// `lin-1     passed    `.
    private func head(_ guest: String, _ state: String, _ colour: Colour) -> StyledLine {
        var line = StyledLine(padEnd(style.safe(guest), tally.guestWidth) + "  ")
        line.add(padEnd(state, detail == .results ? 10 : 8), colour)
        line.add("  ")
        return line
    }

    private mutating func finished(_ result: TaskResult) -> [StyledLine] {
        let isBad = !result.outcome.isSuccess && result.outcome != .skipped
        guard isBad || detail != .failures else { return [] }
        var line = head(result.id.guest ?? "-", word(result.outcome), Colour(result.outcome))
        line.add(style.safe(result.id.label))
        if result.outcome != .skipped { line.add(" (\(durationText(result.duration)))", .faint) }
        if result.attempts > 1 { line.add(" after \(result.attempts) attempts") }
        if let message = result.message, !message.isEmpty { line.add(": \(style.safe(message))") }
        if result.outputDropped > 0 {
            let kept = result.outputBytes - result.outputDropped
            line.add(
                " (of \(ByteCount(UInt64(result.outputBytes))) of output the first \(ByteCount(UInt64(kept))) are kept)"
            )
        }
        guard isBad, detailsLeft > 0 else { return [line] }
        detailsLeft -= 1
        let output = style.safeLines(result.outputTail)
        let isCut = result.outputBytes > result.outputTail.utf8.count || output.count > Self.outputLines
        let heading = isCut ? "the end of its output (\(result.outputBytes) bytes)" : "output"
        return [line] + quote(heading, output.suffix(Self.outputLines)) + result.trouble.flatMap(told)
            + console(result.consoleTail)
    }

    private func told(_ trouble: GuestTrouble) -> [StyledLine] {
        quote(
            "\(style.safe(trouble.guest))'s kernel, \(trouble.kind)",
            trouble.lines.prefix(Self.troubleLines).map(style.safe)[...])
    }

    private func told(_ step: StepResult) -> [StyledLine] {
        guard detail == .everything else { return [] }
        var line = head(
            step.id.guest ?? "-", step.outcome.isSuccess ? "step" : word(step.outcome), Colour(step.outcome))
        line.add("\(style.safe(step.id.call)) \(style.safe(step.id.text))")
        line.add(" (\(durationText(step.duration)))", .faint)
        return [line]
    }

    private func word(_ outcome: Outcome) -> String {
        (detail == .results ? style.symbol(outcome) + " " : "") + outcome.rawValue
    }

    private mutating func console(_ lines: [String]) -> [StyledLine] {
        guard lines != shownConsole else { return [] }
        shownConsole = lines
        return quote("console", lines.suffix(Self.consoleLines).map(style.safe)[...])
    }

    /// Lines of a guest, already safe, indented under a heading.
    private func quote(_ heading: String, _ lines: ArraySlice<String>) -> [StyledLine] {
        guard !lines.isEmpty else { return [] }
        let bar = style.unicode ? "│" : "|"
        return [StyledLine("    \(heading):", .faint)]
            + lines.map {
                var line = StyledLine("    \(bar) ", .faint)
                line.hanging = ("    \(bar) ", .faint)
                line.add(shortened($0, to: Self.lineLimit, ellipsis: style.ellipsis))
                return line
            }
    }
}
