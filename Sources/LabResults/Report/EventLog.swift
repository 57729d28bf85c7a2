import Diagnostics

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Reads `events.jsonl` back, as far as a report of the run needs it: what is left of a run that was killed.
enum EventLog {
    /// The report of the run whose events lie in this file. Lines that make no sense, such as a torn last one, are skipped.
    /// Nil when there is no such file, or not the beginning of a run.
    static func report(_ path: String) -> RunReport? {
        guard let data = try? Data(contentsOf: URL(filePath: path)) else { return nil }
        let decoder = JSONDecoder()
        var builder = RunReportBuilder()
        var hasBegun = false
        for (number, text) in data.split(separator: UInt8(ascii: "\n")).enumerated() {
            guard let line = try? decoder.decode(Line.self, from: text), let event = line.value else { continue }
            if case .runStarted = event { hasBegun = true }
            builder.receive(RecordedEvent(sequence: number + 1, elapsed: line.t, time: 0, event: event))
        }
        return hasBegun ? builder.report(startedAt: beginning(data, decoder)) : nil
    }

    /// When the run began, as its first line says.
    private static func beginning(_ data: Data, _ decoder: JSONDecoder) -> String {
        let first = data.prefix { $0 != UInt8(ascii: "\n") }
        return (try? decoder.decode(Line.self, from: first))?.time ?? ""
    }

    /// One line, whose members are those of any event. `JSONLinesSink` has the table.
    private struct Line: Decodable {
        var t: Double
        var time: String
        var event: String
        var lab: String?
        var cell: String?
        var file: String?
        var version: String?
        var host: String?
        var kernel: String?
        var cores: Int?
        var memory: UInt64?
        var guests: [GuestDescription]?
        var tasks: [TaskID]?
        var guest: String?
        var group: String?
        var image: String?
        var os: String?
        var cpus: Int?
        var backend: String?
        var boot: BootKind?
        var seconds: Double?
        var orderly: Bool?
        var reason: String?
        var outcome: Outcome?
        var message: String?
        var consoleTail: [String]?
        var level: NoteLevel?
        var task: String?
        var index: Int?
        var repetitions: Int?
        var step: Int?
        var on: String?
        var call: String?
        var text: String?
        var place: String?
        var exit: Int32?
        var started: Double?
        var duration: Double?
        var attempts: Int?
        var outputBytes: Int?
        var outputDropped: Int?
        var trouble: [GuestTrouble]?
        var outputTail: String?
        var output: String?
        var artifacts: [String]?
        /// Attempts have the members of a task's report.
        var earlier: [TaskReport]?
        var exitStatus: Int32?
        var counts: [String: Int]?

        /// The event, of those that a report is made from.
        var value: RunEvent? {
            switch event {
            case "runStarted":
                return .runStarted(
                    RunDescription(
                        lab: lab ?? "", cell: cell, file: file ?? "",
                        host: HostDescription(
                            name: host ?? "", kernel: kernel ?? "", cores: cores ?? 0, memory: memory ?? 0),
                        guests: guests ?? [], tasks: tasks ?? [], version: version ?? ""))
            case "guestDeclared":
                return guest.map {
                    .guestDeclared(
                        GuestDescription(
                            name: $0, group: group ?? "", image: image ?? "", os: os ?? "", memory: memory ?? 0,
                            cpus: cpus ?? 0, backend: backend ?? ""))
                }
            case "guestBooting":
                return guest.map { .guestBooting(guest: $0, backend: backend ?? "", boot: boot ?? .cold) }
            case "guestReady": return guest.map { .guestReady(guest: $0, seconds: seconds ?? 0) }
            case "guestEnded":
                return guest.map { .guestEnded(guest: $0, orderly: orderly ?? false, reason: reason ?? "") }
            case "guestReplaced": return guest.map { .guestReplaced(guest: $0, reason: reason ?? "") }
            case "guestFailed":
                return guest.map {
                    .guestFailed(
                        guest: $0, outcome: outcome ?? .error, message: message ?? "", consoleTail: consoleTail ?? [])
                }
            case "stepFinished": return stepResult.map { .stepFinished($0) }
            case "taskFinished": return taskResult.map { .taskFinished($0) }
            case "note": return .note(level: level ?? .info, message: message ?? "")
            case "interrupted": return .interrupted(reason: reason ?? "")
            case "runFinished":
                return exitStatus.flatMap(ExitStatus.init(rawValue:)).map {
                    .runFinished(RunSummary(status: $0, duration: duration ?? t, counts: counts ?? [:]))
                }
            default: return nil
            }
        }

        private var taskID: TaskID? {
            task.map { TaskID(task: $0, guest: guest, index: index ?? 1, repetitions: repetitions ?? 1) }
        }

        private var stepResult: StepResult? {
            guard let taskID, let step, let outcome else { return nil }
            return StepResult(
                id: StepID(task: taskID, number: step, guest: on, call: call ?? "", text: text ?? "", place: place),
                outcome: outcome, exit: exit, started: started ?? 0, duration: duration ?? 0, message: message,
                outputTail: outputTail ?? "")
        }

        private var taskResult: TaskResult? {
            guard let taskID, let outcome else { return nil }
            var result = TaskResult(
                id: taskID, outcome: outcome, exit: exit, duration: duration ?? 0, started: started ?? 0,
                attempts: attempts ?? 0, message: message, outputBytes: outputBytes ?? 0,
                outputDropped: outputDropped ?? 0, outputTail: outputTail ?? "", trouble: trouble ?? [],
                consoleTail: consoleTail ?? [], outputPath: output, artifacts: artifacts ?? [])
            result.earlier = (earlier ?? []).map(\.result)
            return result
        }
    }
}

extension RunReportBuilder {
    /// The report with the time at which the run began as it was written down.
    fileprivate func report(startedAt started: String) -> RunReport {
        var report = report
        report.started = started
        if report.exitStatus == nil, report.interrupted == nil {
            report.interrupted = "the run was killed: this is what its events tell"
            report.status = ExitStatus.interrupted.word
        }
        return report
    }
}
