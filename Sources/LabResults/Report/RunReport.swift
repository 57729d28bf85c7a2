import Diagnostics
import FoundationEssentials
import HostSystem

/// A whole run as `results.json` holds it, and as every report is made from it.
public struct RunReport: Sendable, Hashable, Codable {
    /// The format's version; a reader refuses one that it does not know.
    public var format = 1
    /// `vmlab`'s version.
    public var version = ""
    /// The lab's name.
    public var lab = ""
    /// The matrix cell's id.
    public var cell: String?
    /// The lab file's path.
    public var file = ""
    /// Where it ran.
    public var host = HostDescription(name: "", kernel: "", cores: 0, memory: 0)
    /// When it began, such as `2026-11-22T11:00:00.123Z`.
    public var started = ""
    /// Seconds from the first event to the last one so far.
    public var duration = 0.0
    /// `passed`, `failed`, `invalid`, `infrastructure`, `deadline`, `interrupted`, or `unfinished`.
    public var status = "unfinished"
    /// The command's exit status for this run; nil while it is unfinished.
    public var exitStatus: Int32?
    /// Why it was stopped early.
    public var interrupted: String?
    /// How many task runs had each outcome; none is left out for being zero.
    public var counts: [String: Int] = [:]
    /// How the guests shared the host's memory; nil until the run's end.
    public var admission: AdmissionSummary?
    /// Guests in the lab's order.
    public var guests: [GuestReport] = []
    /// Task runs in the lab's order, whatever order they ended in.
    public var tasks: [TaskReport] = []
    /// Warnings that belong to no guest or task.
    public var warnings: [String] = []

    /// An empty report.
    public init() {}
}

/// One guest of a run report.
public struct GuestReport: Sendable, Hashable, Codable {
    /// The guest's name.
    public var name: String
    /// Its group.
    public var group = ""
    /// Its image.
    public var image = ""
    /// `linux` or `windows`.
    public var os = ""
    /// RAM in bytes.
    public var memory: UInt64 = 0
    /// vCPUs.
    public var cpus = 0
    /// The backend that ran it.
    public var backend = ""
    /// How it came up last; nil if it never began to boot.
    public var boot: BootKind?
    /// Seconds until it answered.
    public var bootSeconds: Double?
    /// How it ended: `orderly`, `unexpected` or `failed`; nil while it runs or if it never booted.
    public var end: String?
    /// Why it ended.
    public var reason: String?
    /// Why it could not be used.
    public var outcome: Outcome?
    /// Its last console lines, when it could not be used.
    public var consoleTail: [String] = []
    /// Its console's file, relative to the results directory; nil if it never booted.
    public var console: String?
    /// How often it was lost and a fresh one took its place; nil if it never was.
    public var replacements: Int?

    /// A guest of which only the name is known.
    public init(name: String) {
        self.name = name
    }
}

/// One task on one guest of a run report.
public struct TaskReport: Sendable, Hashable, Codable {
    /// The task's name.
    public var task: String
    /// The guest; nil if none took it.
    public var guest: String?
    /// The repetition, from 1.
    public var index: Int
    /// How many there are.
    public var repetitions: Int
    /// How it ended.
    public var outcome: Outcome
    /// The command's exit status.
    public var exit: Int32?
    /// Seconds since the run's start when it began.
    public var started: Double
    /// Seconds it took.
    public var duration: Double
    /// Attempts it took.
    public var attempts: Int
    /// Why it did not pass.
    public var message: String?
    /// Bytes that it printed.
    public var outputBytes: Int
    /// How many of them are not kept, as there is a limit; nil when all are.
    public var outputDropped: Int?
    /// The end of its output: 4 KiB, or 1 KiB if it passed.
    public var outputTail: String
    /// What guests' kernels said went wrong while it ran; nil when nothing did.
    public var trouble: [GuestTrouble]?
    /// The guest's last console lines, when the guest is to blame.
    public var consoleTail: [String]
    /// The output's file, relative to the results directory.
    public var output: String?
    /// Collected files, relative to the results directory.
    public var artifacts: [String]
    /// How the attempts before the last one went, in order; nil where there was one.
    public var earlier: [TaskReport]?
    /// What a script did in it, in order; nil for a task that is no script.
    public var steps: [StepReport]?

    /// How much of a passed task's output is kept, in characters: a thousand of them must stay small.
    static let passedTailLimit = 1024

    /// A result as the report keeps it.
    public init(_ result: TaskResult) {
        task = result.id.task
        guest = result.id.guest
        index = result.id.index
        repetitions = result.id.repetitions
        outcome = result.outcome
        exit = result.exit
        started = result.started
        duration = result.duration
        attempts = result.attempts
        message = result.message
        outputBytes = result.outputBytes
        outputDropped = result.outputDropped == 0 ? nil : result.outputDropped
        trouble = result.trouble.isEmpty ? nil : result.trouble
        let limit = result.outcome == .passed ? Self.passedTailLimit : OutputWriter.tailLimit
        outputTail = String(result.outputTail.unicodeScalars.suffix(limit))
        consoleTail = result.consoleTail
        output = result.outputPath
        artifacts = result.artifacts
        earlier = result.earlier.isEmpty ? nil : result.earlier.map { TaskReport($0) }
    }

    /// The report as the result that it was made from, with the shorter tail.
    public var result: TaskResult {
        var result = TaskResult(
            id: TaskID(task: task, guest: guest, index: index, repetitions: repetitions), outcome: outcome, exit: exit,
            duration: duration, started: started, attempts: attempts, message: message, outputBytes: outputBytes,
            outputDropped: outputDropped ?? 0, outputTail: outputTail, trouble: trouble ?? [], consoleTail: consoleTail,
            outputPath: output, artifacts: artifacts)
        result.earlier = (earlier ?? []).map(\.result)
        return result
    }
}

/// One step of a script in a run report.
public struct StepReport: Sendable, Hashable, Codable {
    /// The guest; nil if it concerns none.
    public var guest: String?
    /// What was called.
    public var call: String
    /// What it was about.
    public var text: String
    /// Where in the script.
    public var place: String?
    /// How it ended.
    public var outcome: Outcome
    /// The command's exit status.
    public var exit: Int32?
    /// Seconds since the run's start when it began.
    public var started: Double
    /// Seconds it took.
    public var duration: Double
    /// Why it did not pass.
    public var message: String?
    /// The end of its output, when it did not pass.
    public var outputTail: String?

    /// A result as the report keeps it.
    public init(_ result: StepResult) {
        guest = result.id.guest
        call = result.id.call
        text = result.id.text
        place = result.id.place
        outcome = result.outcome
        exit = result.exit
        started = result.started
        duration = result.duration
        message = result.message
        outputTail = result.outcome.isSuccess || result.outputTail.isEmpty ? nil : result.outputTail
    }
}

extension RunReport {
    /// The report as `results.json` holds it: indented, keys sorted, ending in a line end.
    public func json() throws(Diagnostic) -> [UInt8] {
        var bytes: [UInt8] = []
        var head = self
        head.tasks = []
        try head.writeJSON(tasks) { bytes += $0 }
        return bytes
    }

    /// The same, of a report without tasks and these, one after the other.
    func writeJSON(
        _ tasks: some Sequence<TaskReport>, to put: ([UInt8]) -> Void
    ) throws(Diagnostic) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        encoder.nonConformingFloatEncodingStrategy = Self.floats
        do {
            let whole = String(decoding: try encoder.encode(self), as: UTF8.self)
            // No string within has bare quotation marks, and no other list is called so.
            let parts = whole.split(separator: Self.noTasks, maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2 else { return put(Array((whole + "\n").utf8)) }
            put(Array((parts[0] + "\"tasks\" : [").utf8))
            var isFirst = true
            for task in tasks {
                let text = String(decoding: try encoder.encode(task), as: UTF8.self)
                // The encoder writes an empty list as one with an empty line, which is not indented.
                let indented = text.replacing("\n", with: "\n    ").replacing("\n    \n", with: "\n\n")
                put(Array(((isFirst ? "\n" : ",\n") + "    " + indented).utf8))
                isFirst = false
            }
            put(Array(((isFirst ? "\n" : "") + "\n  ]" + parts[1] + "\n").utf8))
        } catch {
            throw Diagnostic(.host, "cannot encode the results", cause: "\(error)")
        }
    }

    private static let noTasks = "\"tasks\" : [\n\n  ]"

    /// How what is no number is written.
    static let floats = JSONEncoder.NonConformingFloatEncodingStrategy.convertToString(
        positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
}

/// Reads results back.
public enum ResultsFile {
    /// The report of the run in a results directory. Throws when there is none, or none that this version reads; a run
    /// with failed tasks is no error. That of a run which was killed, and left no results file, is made from its events.
    public static func load(_ directory: String) throws(Diagnostic) -> RunReport {
        let path = "\(directory)/\(RunDirectory.results)"
        let data: Data
        do {
            data = try Data(contentsOf: URL(filePath: path))
        } catch {
            if !FileTree.exists(path), let report = EventLog.report("\(directory)/\(RunDirectory.events)") {
                return report
            }
            throw Diagnostic(
                .specification, "\(directory) holds no results",
                remedy: "name a directory that `vmlab run` has written",
                cause: FileTree.exists(path) ? "cannot read \(path)" : "there is no \(path)")
        }
        let decoder = JSONDecoder()
        decoder.nonConformingFloatDecodingStrategy = .convertFromString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        do {
            let report = try decoder.decode(RunReport.self, from: data)
            if report.format == RunReport().format { return report }
        } catch {
            throw Diagnostic(
                .specification, "\(path) is not a results file", remedy: "run the lab again", cause: "\(error)")
        }
        throw Diagnostic(
            .specification, "\(path) was written by another version of vmlab",
            remedy: "read it with the version that wrote it, or run the lab again")
    }
}
