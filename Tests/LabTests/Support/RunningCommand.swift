import Foundation
import Glibc
import HostSystem
import Testing

/// A `vmlab` command that was started.
struct RunningCommand: Sendable {
    let vmlab: VMLab
    let child: ChildProcess
    /// What its output files are named, before `.out` and `.err`.
    let files: String
    let started: ContinuousClock.Instant

    /// Waits for the end. A command that takes longer is killed, and that is an error.
    func ended(within time: Duration = VMLab.patience) async throws -> Ended {
        do {
            _ = try await withDeadline(.now + time) { [child] in try await child.wait() }
        } catch {
            child.kill(SIGKILL)
            _ = await child.ended()
            throw TestTrouble("no end within \(time):\n\(ended.everything)")
        }
        return ended
    }

    /// Sends it a signal.
    func send(_ signal: Int32) { child.kill(signal) }

    /// Whether it has a handler for a signal.
    func handles(_ signal: Int32) -> Bool {
        let caught = SmallFile.text("/proc/\(child.processID)/status")?.split(separator: "\n").first {
            $0.hasPrefix("SigCgt:")
        }
        let mask = caught.flatMap { UInt64($0.dropFirst("SigCgt:".count).drop { $0.isWhitespace }, radix: 16) }
        return (mask ?? 0) >> UInt64(signal - 1) & 1 == 1
    }

    /// What it has said so far, and its status if it has ended.
    private var ended: Ended {
        let status: Int32 =
            switch child.exitStatus {
            case .exited(let status): status
            case .signalled(let number): -number
            case nil: .min
            }
        return Ended(
            status: status, out: SmallFile.text(files + ".out") ?? "", err: SmallFile.text(files + ".err") ?? "",
            duration: .now - started)
    }

    /// Waits until `condition` gives something. Fails when the command ends first, or time is up.
    func wait<Value>(
        for what: String, within time: Duration = .seconds(180), _ condition: () throws -> Value?
    ) async throws -> Value {
        let deadline = ContinuousClock.now + time
        while true {
            // Asked before the condition: what it wrote last still counts.
            let isOver = child.exitStatus != nil
            if let value = try condition() { return value }
            if isOver || ContinuousClock.now > deadline {
                throw TestTrouble("\(isOver ? "ended" : "time is up") without \(what):\n\(ended.everything)")
            }
            // Files of another process tell no news of their own.
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    /// Waits until `events.jsonl` in the results directory `out` has such an event.
    func event(
        _ name: String, in out: String = "out", where matches: @escaping (Event) -> Bool = { _ in true }
    ) async throws -> Event {
        try await wait(for: "the event \(name)") {
            vmlab.events(out).first { $0.event == name && matches($0) }
        }
    }

    /// Waits until a task has started.
    func taskStarted(_ task: String, on guest: String? = nil, in out: String = "out") async throws {
        _ = try await event("taskStarted", in: out) { $0.task == task && (guest == nil || $0.guest == guest) }
    }

    /// The process of a guest, once there is one.
    func machine(_ guest: String) async throws -> HostProcess {
        try await wait(for: "a machine of \(guest)") { vmlab.machines.first { $0.guest == guest } }
    }
}

/// A command that has ended.
struct Ended: Sendable {
    /// Its exit status; negative for the signal that killed it.
    let status: Int32
    /// Standard output.
    let out: String
    /// Standard error.
    let err: String
    /// From its start to its end.
    let duration: Duration

    /// For the messages of failed expectations.
    var everything: String { "status \(status) after \(duration)\n--- stdout\n\(out)\n--- stderr\n\(err)" }
}

/// A test could not go on.
struct TestTrouble: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// A text, if it is one.
struct Word: Decodable, Sendable {
    let text: String?

    init(from decoder: any Decoder) throws { text = try? decoder.singleValueContainer().decode(String.self) }
}

/// An event of `events.jsonl`, as far as tests look at it.
struct Event: Decodable, Sendable {
    var seq: Int
    var event: String
    var task: String?
    var guest: String?
    var index: Int?
    var outcome: String?
    var message: String?
    /// What an image's progress tells of. A script's step is no word.
    var step: Word?
    /// How a guest comes up.
    var boot: String?
    var t: Double
    /// When it was, such as `2026-11-22T11:00:00.123Z`.
    var time: String
}
