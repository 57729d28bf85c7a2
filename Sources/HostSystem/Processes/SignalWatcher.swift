import CLinux
import Glibc
import Synchronization

/// Turns signals of this process into values that tasks can await.
public enum SignalWatcher {
    private struct Entry {
        var watch: ObjectIdentifier
        var numbers: [Int32]
        var handler: @Sendable (Int32) -> Void
    }

    /// The active watches, the newest last.
    private static let entries = Mutex<[Entry]>([])

    // The pipe is made once and kept: a handler may still be writing while a stream ends.
    private static let pipe: Result<(writeEnd: Int32, pump: OutputPump), SystemCallError> = {
        do throws(SystemCallError) {
            let pipe = try DescriptorPair.pipe()
            try pipe.second.setNonBlocking()
            let pump = try OutputPump(pipe.first) { bytes in
                for byte in bytes { receive(Int32(byte)) }
            }
            return .success((pipe.second.release(), pump))
        } catch {
            return .failure(error)
        }
    }()

    /// Signals that do not terminate the process until `end` or until this object is released.
    public final class Watch: Sendable {
        fileprivate init() {}

        deinit { end() }

        /// Restores the previous handling: the watch before this one, or the default action. Safe to repeat.
        public func end() { SignalWatcher.end(ObjectIdentifier(self)) }
    }

    /// The signals that ask a command to end.
    public static let endings = [SIGINT, SIGTERM, SIGHUP]

    /// Calls `handler` with each of these signals, on the event loop's thread: it must not block. A signal that is ignored (by
    /// nohup) stays ignored. Only the newest watch's handler gets a signal.
    public static func watch(
        _ numbers: [Int32] = endings, _ handler: @escaping @Sendable (Int32) -> Void
    ) throws(SystemCallError) -> Watch {
        let writeEnd = try pipe.get().writeEnd
        let watch = Watch()
        let entry = Entry(watch: ObjectIdentifier(watch), numbers: numbers, handler: handler)
        try entries.withLock { (entries: inout [Entry]) throws(SystemCallError) in
            entries.append(entry)
            for number in numbers {
                try systemCall("sigaction") { vmlab_watch_signal(number, writeEnd) }
            }
        }
        return watch
    }

    private static func receive(_ number: Int32) {
        entries.withLock { $0.last { $0.numbers.contains(number) } }?.handler(number)
    }

    private static func end(_ watch: ObjectIdentifier) {
        entries.withLock { entries in
            guard let place = entries.firstIndex(where: { $0.watch == watch }) else { return }
            let ended = entries.remove(at: place)
            for number in ended.numbers where !entries.contains(where: { $0.numbers.contains(number) }) {
                _ = vmlab_unwatch_signal(number)
            }
        }
    }

    /// Ignores SIGPIPE from now on: a write to a pipe without a reader fails with `EPIPE`. Children have the default action.
    public static func ignoreBrokenPipes() { signal(SIGPIPE, SIG_IGN) }

    /// The signals of these numbers as they arrive; see `watch`. Ends when the stream's consumer is cancelled or releases it.
    public static func signals(_ numbers: [Int32] = endings) throws(SystemCallError) -> AsyncStream<Int32> {
        let (stream, continuation) = AsyncStream<Int32>.makeStream(bufferingPolicy: .bufferingNewest(64))
        let watch = try watch(numbers) { continuation.yield($0) }
        continuation.onTermination = { _ in watch.end() }
        return stream
    }
}
