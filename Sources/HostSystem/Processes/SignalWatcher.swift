import CLinux
import Glibc
import Synchronization

/// Turns signals of this process into values to wait for.
public enum SignalWatcher {
    private static let sink = Mutex<(@Sendable (Int32) -> Void)?>(nil)

    // The pipe is made once and kept: a handler may still be writing while a stream ends.
    private static let pipe: Result<(writeEnd: Int32, pump: OutputPump), SystemCallError> = {
        do throws(SystemCallError) {
            let pipe = try DescriptorPair.pipe()
            try pipe.second.setNonBlocking()
            let pump = try OutputPump(pipe.first) { bytes in
                for byte in bytes { sink.withLock { $0 }?(Int32(byte)) }
            }
            return .success((pipe.second.release(), pump))
        } catch {
            return .failure(error)
        }
    }()

    /// Signals that no longer end the process, until `end` or until nobody holds this.
    public final class Watch: Sendable {
        private let numbers: [Int32]

        fileprivate init(_ numbers: [Int32]) { self.numbers = numbers }

        deinit { end() }

        /// The signals do what they did before. Safe to repeat.
        public func end() {
            for number in numbers { _ = vmlab_unwatch_signal(number) }
        }
    }

    /// The signals that ask a command to end.
    public static let endings = [SIGINT, SIGTERM, SIGHUP]

    /// Calls `handler` with each signal of these numbers as it comes, on the event loop's thread: it must not block.
    ///
    /// A signal that is ignored (by nohup) stays ignored. Only one handler at a time gets signals: the newest.
    public static func watch(
        _ numbers: [Int32] = endings, _ handler: @escaping @Sendable (Int32) -> Void
    ) throws(SystemCallError) -> Watch {
        let writeEnd = try pipe.get().writeEnd
        sink.withLock { $0 = handler }
        for number in numbers {
            try systemCall("sigaction") { vmlab_watch_signal(number, writeEnd) }
        }
        return Watch(numbers)
    }

    /// The signals of these numbers as they come; see `watch`. It ends when the stream's consumer is cancelled or lets go of it.
    public static func signals(_ numbers: [Int32] = endings) throws(SystemCallError) -> AsyncStream<Int32> {
        let (stream, continuation) = AsyncStream<Int32>.makeStream(bufferingPolicy: .bufferingNewest(64))
        let watch = try watch(numbers) { continuation.yield($0) }
        continuation.onTermination = { _ in watch.end() }
        return stream
    }
}
