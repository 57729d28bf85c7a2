import Diagnostics
import Quantities
import Synchronization

/// Records a guest's kernel console: each line with the host's time in front and the guest's bytes unchanged. The file is created
/// by the first `append`, even an empty one: a guest that booted has a log.
///
///     # console of lin-1; seconds since 2026-11-22T11:00:00.123Z
///     [   3.204511] Linux version 6.1.0
public final class ConsoleLogWriter: Sendable {
    private let clock: RunClock
    private let guest: String
    private let state: Mutex<State>

    private struct State: ~Copyable {
        var file: FileWriter
        var hasHead = false
        var atLineStart = true
    }

    /// A log; several writers that append to one file continue it. Times are the run's.
    init(to target: FileWriter.Target, guest: String, clock: RunClock) {
        self.clock = clock
        self.guest = guest
        state = Mutex(State(file: FileWriter(target)))
    }

    /// Adds console output of now. It is written when this returns, so that another terminal can follow it and a killed run leaves
    /// it; errors are kept for `close`.
    public func append(_ bytes: some Sequence<UInt8>) {
        state.withLock { state in
            var lines: [UInt8] = []
            let elapsed = clock.elapsed
            let stamp = "[\(pad(fixed(elapsed, 6), 11))] ".utf8
            for byte in bytes {
                if state.atLineStart { lines.append(contentsOf: stamp) }
                lines.append(byte)
                state.atLineStart = byte == UInt8(ascii: "\n")
            }
            guard !lines.isEmpty || !state.hasHead else { return }
            if !state.hasHead {
                state.hasHead = true
                let start = timestamp(clock.wall - elapsed)
                state.file.append("# console of \(visible(guest)); seconds since \(start)\n".utf8)
            }
            state.file.append(lines)
            state.file.flush()
        }
    }

    /// Closes the log. Throws when bytes were lost for any reason; a second call throws the same.
    public func close() throws(Diagnostic) {
        try state.withLock { state throws(Diagnostic) in
            if state.hasHead { try state.file.finish() }
        }
    }
}
