import CLinux
import Glibc
import Synchronization

/// Turns signals of this process into values to wait for.
public enum SignalWatcher {
    private static let sink = Mutex<AsyncStream<Int32>.Continuation?>(nil)

    // The pipe is made once and kept: a handler may still be writing while a stream ends.
    private static let pipe: Result<(writeEnd: Int32, pump: OutputPump), SystemCallError> = {
        do throws(SystemCallError) {
            let pipe = try DescriptorPair.pipe()
            try pipe.second.setNonBlocking()
            let pump = try OutputPump(pipe.first) { bytes in
                for byte in bytes { sink.withLock { $0 }?.yield(Int32(byte)) }
            }
            return .success((pipe.second.release(), pump))
        } catch {
            return .failure(error)
        }
    }()

    /// The signals of these numbers as they come, by default those that ask a command to end.
    ///
    /// From the call on they no longer end the process, until the stream's consumer is cancelled or lets go of it. A
    /// signal that is ignored (by nohup) stays ignored. Only one stream at a time gets them: the newest.
    public static func signals(
        _ numbers: [Int32] = [SIGINT, SIGTERM, SIGHUP]
    ) throws(SystemCallError) -> AsyncStream<Int32> {
        let writeEnd = try pipe.get().writeEnd
        let (stream, continuation) = AsyncStream<Int32>.makeStream(bufferingPolicy: .bufferingNewest(64))
        sink.withLock { $0 = continuation }
        for number in numbers {
            try systemCall("sigaction") { vmlab_watch_signal(number, writeEnd) }
        }
        continuation.onTermination = { _ in
            for number in numbers { _ = vmlab_unwatch_signal(number) }
        }
        return stream
    }
}
