import HostSystem
import Synchronization
import Testing

@testable import LabResults

/// A sink that takes an event only when it is let.
private final class SlowSink: RunSink {
    private let state = Monitor((allowed: 0, taken: [Int](), isFinished: false))

    func allow(_ count: Int) { state.withLock { $0.allowed += count } }
    var taken: [Int] { state.withLock { $0.taken } }
    var isFinished: Bool { state.withLock { $0.isFinished } }

    func receive(_ recorded: RecordedEvent) {
        state.wait { state -> Void? in state.allowed > state.taken.count ? () : nil }
        state.withLock { $0.taken.append(recorded.sequence) }
    }

    func finish() { state.withLock { $0.isFinished = true } }
    var problems: [String] { ["its own"] }
}

@Suite("A queue before a sink", .timeLimit(.minutes(2)))
struct QueuedSinkTests {
    private func note(_ number: Int) -> RunEvent { .note(level: .info, message: "\(number)") }

    @Test("Nobody waits for a sink that stands still, and it gets all in order when it goes on")
    func order() throws {
        let slow = SlowSink()
        let queue = try QueuedSink(slow, name: "standard output") { .seconds(60) }
        let recorder = RunRecorder(sinks: [queue])
        for number in 1...1000 { recorder.emit(note(number)) }
        #expect(slow.taken.isEmpty)
        slow.allow(1000)
        recorder.finish()
        #expect(slow.taken == Array(1...1000) && slow.isFinished)
        #expect(queue.problems == ["its own"])
    }

    @Test("What waits is bounded: what comes beyond it is counted and told")
    func bounded() throws {
        let slow = SlowSink()
        let queue = try QueuedSink(slow, name: "standard output", limit: 10 * 512) { .seconds(60) }
        let recorder = RunRecorder(sinks: [queue])
        for number in 1...100 { recorder.emit(note(number)) }
        slow.allow(100)
        recorder.finish()
        // As many as may wait, or fewer, may have left the queue before the others came.
        let lost = 100 - slow.taken.count
        #expect((80...90).contains(lost) && slow.taken == slow.taken.sorted() && slow.isFinished)
        #expect(queue.problems == ["standard output was too slow: \(lost) events were not written to it", "its own"])
    }

    @Test("An event that is larger than the queue waits alone")
    func large() throws {
        let slow = SlowSink()
        let queue = try QueuedSink(slow, name: "standard output", limit: 1) { .seconds(60) }
        let recorder = RunRecorder(sinks: [queue])
        recorder.emit(note(1))
        slow.allow(1)
        recorder.finish()
        #expect(slow.taken == [1] && queue.problems == ["its own"])
    }

    @Test("At the end a sink that stands still is given up, and that is told")
    func givenUp() throws {
        let slow = SlowSink()
        let queue = try QueuedSink(slow, name: "standard output") { .milliseconds(1) }
        let recorder = RunRecorder(sinks: [queue])
        recorder.emit(note(1))
        recorder.finish()
        recorder.finish()
        #expect(slow.taken.isEmpty)
        #expect(queue.problems == ["standard output accepts no more output: the rest of the run is not written to it"])
        slow.allow(1)
    }
}
