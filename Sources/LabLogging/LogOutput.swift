// LabLogging: where log records of all targets go. The others import `Logging` alone.

import HostSystem
import LabResults
import Logging

/// Writes log records as lines, on a thread of its own: a reader that stands still stops nothing. Lines for which there is no
/// room are left out, and the next one says how many those were.
public final class LogOutput: Sendable {
    private let queue: WriterQueue<String>
    private let clock: RunClock

    /// Lines to a stream, of which at most `limit` bytes wait. Their time counts from now.
    ///
    /// Throws when no thread can be had.
    public init(_ stream: TextStream, limit: Int = 4 << 20, clock: RunClock = RunClock()) throws(SystemCallError) {
        self.clock = clock
        queue = try WriterQueue(thread: "vmlab-log", limit: limit) { line, missing in
            let gap = missing == 0 ? "" : "(\(counted(missing, "line")) left out here: the reader was too slow)\n"
            stream.write(gap + line)
        }
    }

    /// What handles the records of a label: those of this level or graver are written; of nil, none are.
    public func handler(label: String, level: Logger.Level?) -> any LogHandler {
        guard let level else { return SwiftLogNoOpLogHandler() }
        return LineLogHandler(logLevel: level, label: label, output: self)
    }

    fileprivate func write(_ event: LogEvent, label: String, metadata: Logger.Metadata) {
        let line = LogLine.text(
            elapsed: clock.elapsed, level: event.level, label: label, message: "\(event.message)", metadata: metadata)
        queue.put(line + "\n", size: line.utf8.count + 64)
    }

    /// Waits until all is written, unless nothing of it is for as long as `patience`. Blocks.
    public func finish(patience: Duration) {
        // For what is left out at the very end.
        queue.put("", size: 0)
        queue.finish { patience }
    }
}

/// Hands the records of one label to the output.
private struct LineLogHandler: LogHandler {
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?
    let label: String
    let output: LogOutput

    init(logLevel: Logger.Level, label: String, output: LogOutput) {
        (self.logLevel, self.label, self.output) = (logLevel, label, output)
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let all = metadata.merging(metadataProvider?.get() ?? [:]) { $1 }.merging(event.metadata ?? [:]) { $1 }
        output.write(event, label: label, metadata: all)
    }
}
