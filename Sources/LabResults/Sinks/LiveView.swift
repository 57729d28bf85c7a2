import Diagnostics
import Quantities

/// A run's current activity, as a few lines at the bottom of a terminal.
struct LiveView {
    private enum Activity {
        case waiting
        case booting(since: Double)
        case idle
        case task(TaskID, attempt: Int, since: Double)
        case step(StepID, since: Double)
        case gone
    }

    private struct Image {
        var name: String
        var step: String
        var fraction: Double?
    }

    private var names: [String] = []
    private var activities: [String: Activity] = [:]
    /// The last line printed by each guest's command.
    private var lastLines: [String: String] = [:]
    private var images: [Image] = []
    private var isStopping = false

    mutating func receive(_ recorded: RecordedEvent) {
        switch recorded.event {
        case .runStarted(let description):
            for guest in description.guests { set(guest.name, .waiting) }
        case .imageProgress(let name, let step, let fraction):
            images.removeAll { $0.name == name }
            images.append(Image(name: name, step: step, fraction: fraction))
            // Only images in progress have a line.
            if let fraction, fraction >= 1 { images.removeLast() }
        case .fleetAdmitted: images = []
        case .guestDeclared(let guest): set(guest.name, .waiting)
        case .guestQueued(let guest, _), .guestParked(let guest, _), .guestReplaced(let guest, _):
            set(guest, .waiting)
        case .guestBooting(let guest, _, _): set(guest, .booting(since: recorded.elapsed))
        case .guestReady(let guest, _): set(guest, .idle)
        case .guestEnded(let guest, _, _), .guestFailed(let guest, _, _, _): set(guest, .gone)
        case .taskStarted(let id, let attempt):
            if let guest = id.guest { set(guest, .task(id, attempt: attempt, since: recorded.elapsed)) }
        case .taskFinished(let result):
            if let guest = result.id.guest, case .task(let id, _, _) = activities[guest], id == result.id {
                set(guest, .idle)
            }
        case .stepStarted(let step):
            // A step on the task's own guest is shown by the task.
            if let guest = step.guest, case .idle = activities[guest] {
                set(guest, .step(step, since: recorded.elapsed))
            }
        case .stepFinished(let result):
            if let guest = result.id.guest, case .step(let id, _) = activities[guest], id == result.id {
                set(guest, .idle)
            }
        case .interrupted: isStopping = true
        case .taskNote, .note, .admissionEnded, .runFinished: break
        }
    }

    mutating func show(_ line: String, of guest: String) { lastLines[guest] = line }

    private mutating func set(_ guest: String, _ activity: Activity) {
        lastLines[guest] = nil
        if activities.updateValue(activity, forKey: guest) == nil { names.append(guest) }
    }

    /// The lines, at most one less than the terminal has rows; the last one sums up.
    func lines(tally: RunTally, now: Double, style: TextStyle, size: TerminalSink.Size) -> [StyledLine] {
        // Below them come the sum and the cursor's row.
        let room = max(0, size.rows - 2)
        let busy = names.filter { isBusy($0) }
        let wanted = images.count + busy.count
        let kept = wanted > room ? max(0, room - 1) : wanted
        var lines = images.prefix(kept).map { image($0, style) }
        lines += busy.prefix(kept - lines.count).map { line($0, tally, now, style, size.columns) }
        if wanted > kept, room > 0 { lines.append(StyledLine("\(style.ellipsis) and \(wanted - kept) more", .faint)) }
        return size.rows > 1 ? lines + [sum(tally, now, style, size)] : []
    }

    private func isBusy(_ name: String) -> Bool {
        switch activities[name] {
        case .booting, .task, .step: true
        case .waiting, .idle, .gone, nil: false
        }
    }

    private func line(
        _ name: String, _ tally: RunTally, _ now: Double, _ style: TextStyle, _ columns: Int
    ) -> StyledLine {
        /// A guest's activity, shortened so that the time after it is visible.
        func fitted(_ text: String, before rest: String) -> String {
            let room = columns - tally.guestWidth - 4 - displayWidth(rest)
            return shortened(style.safe(text), to: max(8, room), ellipsis: style.ellipsis) + "  "
        }
        var line = StyledLine(padEnd(style.safe(name), tally.guestWidth) + "  ")
        switch activities[name] {
        case .booting(let since):
            line.add("booting  ", .busy)
            line.add(elapsedText(now - since), .faint)
        case .step(let step, let since):
            let elapsed = elapsedText(now - since)
            line.add(fitted("\(step.call) \(step.text)", before: elapsed), .busy)
            line.add(elapsed, .faint)
        case .task(let id, let attempt, let since):
            let elapsed = elapsedText(now - since)
            let again = attempt > 1 ? "  attempt \(attempt)" : ""
            line.add(fitted(id.label, before: elapsed + again), .busy)
            line.add(elapsed, .faint)
            line.add(again, .doubtful)
        case .waiting, .idle, .gone, nil: break
        }
        if let last = lastLines[name] { line.add("  " + style.safe(last), .faint) }
        return line
    }

    private func image(_ image: Image, _ style: TextStyle) -> StyledLine {
        var line = StyledLine("image \(style.safe(image.name))  ")
        line.add(style.safe(image.step), .busy)
        if let fraction = image.fraction { line.add("  \(bar(fraction, 20, style)) \(percent(fraction))") }
        return line
    }

    private func sum(_ tally: RunTally, _ now: Double, _ style: TextStyle, _ size: TerminalSink.Size) -> StyledLine {
        let fraction = tally.total > 0 ? Double(tally.done) / Double(tally.total) : 0
        var line = StyledLine(" \(tally.done)/\(tally.total)")
        line.add("  \(elapsedText(now))", .faint)
        if tally.bad > 0 { line.add("  \(tally.bad) failed", .bad) }
        var counts = (booting: 0, running: 0, waiting: 0, idle: 0)
        for activity in activities.values {
            switch activity {
            case .booting: counts.booting += 1
            case .task, .step: counts.running += 1
            case .waiting: counts.waiting += 1
            case .idle: counts.idle += 1
            case .gone: break
            }
        }
        let words = [
            (counts.running, "running"), (counts.booting, "booting"), (counts.idle, "idle"),
            (counts.waiting, "waiting"),
        ].filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }
        if !words.isEmpty { line.add("  guests: \(words.joined(separator: ", "))") }
        if isStopping { line.add("  stopping", .doubtful) }
        // The words have priority over the bar.
        let room = size.columns - line.width - displayWidth("[]")
        return StyledLine(bar(fraction, room < 24 ? 10 : 24, style)).adding(line)
    }

    private func bar(_ fraction: Double, _ columns: Int, _ style: TextStyle) -> String {
        let full = Int((clamped(fraction) * Double(columns)).rounded(.down))
        let (done, rest) = style.unicode ? ("█", "░") : ("#", "-")
        return "[" + String(repeating: done, count: full) + String(repeating: rest, count: columns - full) + "]"
    }

    private func percent(_ fraction: Double) -> String { "\(Int(clamped(fraction) * 100))%" }

    private func clamped(_ fraction: Double) -> Double { fraction.isFinite ? min(1, max(0, fraction)) : 0 }

    /// Tenths of a second: hundredths would flicker.
    private func elapsedText(_ seconds: Double) -> String {
        guard seconds.isFinite, seconds < 60 else { return durationText(seconds) }
        return fixed((max(0, seconds) * 10).rounded(.down) / 10, 1) + " s"
    }
}
