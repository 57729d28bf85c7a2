import Foundation
import HostSystem
import JSON
import QMP
import Synchronization

@testable import MachineMonitor

/// Runs a reactor on a thread of its own while `body` runs.
func withReactor<Value>(_ body: (Reactor) async throws -> Value) async throws -> Value {
    let reactor = try Reactor()
    let ended = Completion<Void>()
    Thread.detachNewThread {
        reactor.run()
        ended.fulfil()
    }
    let result: Result<Value, any Error>
    do { result = .success(try await body(reactor)) } catch { result = .failure(error) }
    reactor.stop()
    await ended.value()
    return try result.get()
}

extension Reactor {
    /// Runs `body` on the reactor's thread and returns what it returns.
    func on<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        let result = Completion<Result<Value, any Error>>()
        perform { result.fulfil(Result { try body() }) }
        return try await withDeadline(.now + .seconds(20)) { try await result.wait() }.get()
    }
}

/// A client that speaks JSON texts over a socket.
struct MonitorClient {
    let socket: StreamSocket
    private let lines: LineBuffer

    init(_ socket: StreamSocket) {
        self.socket = socket
        lines = LineBuffer()
    }

    private final class LineBuffer: Sendable {
        let bytes = Mutex<[UInt8]>([])
    }

    func say(_ text: String) async throws { try await socket.write(Array(text.utf8)) }

    /// The next line; nil at the end of the stream.
    func receive() async throws -> JSONValue? {
        try await withDeadline(.now + .seconds(20)) {
            while true {
                let line = lines.bytes.withLock { bytes -> [UInt8]? in
                    guard let end = bytes.firstIndex(of: 0x0a) else { return nil }
                    defer { bytes.removeSubrange(...end) }
                    return Array(bytes[..<end])
                }
                if let line { return try JSONValue(parsing: line) }
                let more = try await socket.read()
                if more.isEmpty { return nil }
                lines.bytes.withLock { $0 += more }
            }
        }
    }

    /// Sends one command and hears the next line.
    func ask(_ command: String, id: Int = 1) async throws -> JSONValue? {
        try await say(#"{"execute": "\#(command)", "id": \#(id)}"#)
        return try await receive()
    }

    /// Hears the greeting and negotiates.
    func negotiate() async throws {
        _ = try await receive()
        _ = try await ask("qmp_capabilities")
    }
}

/// A machine that does what it is told, and writes it down.
final class FakeMachine: ControlledMachine {
    private struct State {
        var status = RunState.running
        var calls: [String] = []
        /// While set, `stop` is answered by `finishStop`.
        var waiting: ControlCompletion?
        var isSlow = false
        var failure: QMPRefusal?
    }

    private let state = Mutex(State())
    let name = "fake"
    let threadIDs: [Int32] = [11, 12]
    var status: RunState { state.withLock { $0.status } }
    var calls: [String] { state.withLock { $0.calls } }

    init(slow: Bool = false, failure: QMPRefusal? = nil) {
        state.withLock { ($0.isSlow, $0.failure) = (slow, failure) }
    }

    private func note(_ call: String, _ status: RunState? = nil) {
        state.withLock { state in
            state.calls.append(call)
            if let status { state.status = status }
        }
    }

    func stop(_ completion: @escaping ControlCompletion) {
        note("stop", .paused)
        let isSlow = state.withLock { state in
            if state.isSlow { state.waiting = completion }
            return state.isSlow
        }
        if !isSlow { completion(.success(())) }
    }

    func finishStop() {
        let waiting = state.withLock { state in
            defer { state.waiting = nil }
            return state.waiting
        }
        waiting?(.success(()))
    }

    func resume(_ completion: @escaping ControlCompletion) {
        if let failure = state.withLock({ $0.failure }) { return completion(.failure(failure)) }
        note("resume", .running)
        completion(.success(()))
    }

    func reset(_ completion: @escaping ControlCompletion) {
        note("reset", .running)
        completion(.success(()))
    }

    func saveSnapshot(_ path: String, _ completion: @escaping ControlCompletion) {
        note("save \(path)")
        completion(.success(()))
    }

    func setShutdownAction(_ action: ShutdownAction) { note("shutdown \(action)") }
    func powerButton() { note("powerButton") }
    func quit() { note("quit") }
}
