import Diagnostics
import GuestControl
import HostSystem
import LabResults
import LabSpec
import Quantities

/// What a run of a task reads and writes.
struct TaskStreams: Sendable {
    let id: TaskID
    let output: OutputWriter
    /// Its standard error; nil when that is not kept apart.
    let errors: OutputWriter?
    /// Its input and its standard error as a guest takes them.
    let ofCommand: CommandStreams

    /// Streams of a task's run in these results, of which at most `limit` is kept.
    init(_ task: LabTask, _ id: TaskID, limit: ByteCount, access: HostAccess, os: GuestOS, in results: RunDirectory) {
        let limit = Int(clamping: limit.bytes)
        let errors = task.separatesErrors ? results.errorWriter(id, limit: limit) : nil
        self.id = id
        self.errors = errors
        output = results.outputWriter(id, limit: limit)
        ofCommand = CommandStreams(
            on: os, input: task.input, access: access, errorLimit: limit,
            errors: errors.map { errors in { @Sendable (bytes: ArraySlice<UInt8>) in errors.append(bytes) } })
    }

    /// Closes what a command has written to that ended with this status. Throws a `Verdict` when the expectation has yet to look at
    /// what was not kept, and a `Diagnostic` when it could not be written.
    func finish(for expect: Expectation, exit: Int32) throws {
        try output.close()
        try errors?.close()
        guard expect.exit.contains(exit) else { return }
        if expect.looksAtOutput { try Self.check(output, "the output") }
        if let errors, expect.looksAtErrors { try Self.check(errors, "standard error") }
    }

    private static func check(_ stream: OutputWriter, _ what: String) throws(Verdict) {
        guard stream.dropped > 0 else { return }
        throw Verdict(
            .error,
            "\(what) cannot be checked: of \(ByteCount(UInt64(stream.count))) only the first "
                + "\(ByteCount(UInt64(stream.count - stream.dropped))) are kept "
                + "(print less, or raise the task's `output-limit`)")
    }

    /// Closes them, and fills in the result.
    func complete(_ result: inout TaskResult) {
        do throws(Diagnostic) {
            try output.close()
            try errors?.close()
        } catch {
            result.outcome = .error
            result.message = sentence(of: error)
        }
        result.outputPath = RunDirectory.taskOutput(id)
        result.outputBytes = output.count
        result.outputDropped = output.dropped
        result.outputTail = output.tail
        guard let errors else { return }
        result.errorsPath = RunDirectory.taskErrors(id)
        result.errorBytes = errors.count
        result.errorsDropped = errors.dropped
    }
}
