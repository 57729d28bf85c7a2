import Foundation
import Synchronization
import Testing

@testable import LabResults

/// A clock that a test sets.
final class ManualClock: Sendable {
    private let seconds = Mutex(0.0)
    static let start = 1_795_345_200.123

    var now: Double {
        get { seconds.withLock { $0 } }
        set { seconds.withLock { $0 = newValue } }
    }

    var run: RunClock {
        RunClock(monotonic: { self.now }, wall: { Self.start + self.now })
    }
}

/// What a sink wrote.
final class Collected: Sendable {
    private let all = Mutex("")
    var stream: TextStream { TextStream { text in self.all.withLock { $0 += text } } }
    var text: String { all.withLock { $0 } }

    /// What came since the last call.
    func take() -> String {
        all.withLock { all in
            defer { all = "" }
            return all
        }
    }
}

/// A folder that is gone after the test.
func withFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
    let folder = FileManager.default.temporaryDirectory.appending(path: "vmlab-results-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    return try body(folder.path)
}

func bytes(_ path: String) throws -> [UInt8] { try Array(Data(contentsOf: URL(filePath: path))) }

func text(_ path: String) throws -> String { String(decoding: try bytes(path), as: UTF8.self) }

let fixtures = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures").path

/// Compares with a file in Fixtures. `VMLAB_UPDATE_GOLDEN=1 swift test` writes the files anew; read the difference
/// before committing it.
func expectGolden(_ actual: String, _ name: String, _ location: SourceLocation = #_sourceLocation) throws {
    let path = "\(fixtures)/\(name)"
    if ProcessInfo.processInfo.environment["VMLAB_UPDATE_GOLDEN"] == "1" {
        try Data(actual.utf8).write(to: URL(filePath: path))
        return
    }
    let expected = try text(path)
    if actual == expected { return }
    let lines = (actual.components(separatedBy: "\n"), expected.components(separatedBy: "\n"))
    let place = zip(lines.0, lines.1).enumerated().first { $1.0 != $1.1 }?.offset ?? min(lines.0.count, lines.1.count)
    Issue.record(
        """
        \(name) differs at line \(place + 1):
        is:        \(place < lines.0.count ? lines.0[place] : "(end)")
        should be: \(place < lines.1.count ? lines.1[place] : "(end)")
        """, sourceLocation: location)
}

/// A guest that prints everything that has ever hurt a terminal or a parser.
let hostile = "a\u{0}b \u{1B}[31mred\u{1B}[0m \u{1B}]0;title\u{7}]]> <&\"'> \u{9B}2J \u{202E}rtl\u{FFFF} \r\nend\u{7}\n"

/// A run in which everything happens, as (seconds, event).
func script() -> [(Double, RunEvent)] {
    func guest(_ name: String, _ group: String, _ os: String) -> GuestDescription {
        GuestDescription(
            name: name, group: group, image: os == "linux" ? "debian" : "wine", os: os, memory: 5 << 30, cpus: 1,
            backend: "qemu-tcg")
    }
    let shards = (1...3).map { TaskID(task: "shard", guest: nil, index: $0, repetitions: 3) }
    func shard(_ index: Int, on guest: String) -> TaskID {
        TaskID(task: "shard", guest: guest, index: index, repetitions: 3)
    }
    let kernel1 = TaskID(task: "kernel", guest: "lin-1")
    let kernel2 = TaskID(task: "kernel", guest: "lin-2")
    let version = TaskID(task: "version", guest: "win-1")
    let after = TaskID(task: "after", guest: "win-1")
    var admission = AdmissionSummary(mode: "overcommit")
    admission.hold("the host was short of memory")
    admission.peakGuests = 2
    admission.peakMemory = 3 << 30
    admission.parked = 1
    let panic = ["[    9.1] Kernel panic - not syncing: sysrq", "[    9.2] \u{1B}[1m---[ end ]---"]
    return [
        (
            0,
            .runStarted(
                RunDescription(
                    lab: "mixed-fleet", cell: "fs=ext4", file: "Labs/mixed-fleet/lab.yaml",
                    host: HostDescription(name: "box", kernel: "6.1.0", cores: 2, memory: 24 << 30),
                    guests: [
                        guest("lin-1", "lin", "linux"), guest("lin-2", "lin", "linux"),
                        guest("win-1", "win", "windows"),
                    ], tasks: [kernel1, kernel2, version] + shards + [after], version: "0.1.0"))
        ),
        (0.05, .imageProgress(image: "debian", step: "fetching packages", fraction: 0.25)),
        (0.06, .imageProgress(image: "debian", step: "fetching packages", fraction: 0.5)),
        (0.2, .imageProgress(image: "debian", step: "packing", fraction: nil)),
        (0.5, .fleetAdmitted(batches: 2, note: "15 GiB wanted, 12 GiB free")),
        (0.5, .guestQueued(guest: "win-1", reason: "waits for 5 GiB of memory")),
        (0.5, .guestParked(guest: "win-1", reason: "the host is short of memory")),
        (0.6, .guestBooting(guest: "lin-1", backend: "qemu-tcg", boot: .cold)),
        (0.7, .guestBooting(guest: "lin-2", backend: "qemu-tcg", boot: .clone)),
        (0.9, .guestReady(guest: "lin-2", seconds: 0.2)),
        (0.9, .taskStarted(kernel2, attempt: 1)),
        (
            1.2,
            .taskFinished(
                TaskResult(
                    id: kernel2, outcome: .passed, exit: 0, duration: 0.3, started: 0.9, outputBytes: 12,
                    outputTail: "Linux 6.1.0\n", outputPath: "tasks/kernel/lin-2/output"))
        ),
        (3.8, .guestReady(guest: "lin-1", seconds: 3.2)),
        (3.8, .taskStarted(kernel1, attempt: 1)),
        (
            4.0,
            .taskFinished(
                TaskResult(
                    id: kernel1, outcome: .failed, exit: 3, duration: 0.2, started: 3.8,
                    message: "exit status 3, expected 0", outputBytes: hostile.utf8.count, outputTail: hostile,
                    outputPath: "tasks/kernel/lin-1/output", artifacts: ["tasks/kernel/lin-1/artifacts/core"]))
        ),
        (4.1, .taskStarted(shard(2, on: "lin-1"), attempt: 1)),
        (4.2, .taskNote(shard(2, on: "lin-1"), message: "attempt 1 lost its channel; trying again")),
        (4.3, .taskStarted(shard(2, on: "lin-1"), attempt: 2)),
        (
            65.5,
            .taskFinished(
                TaskResult(
                    id: shard(2, on: "lin-1"), outcome: .flaky, exit: 0, duration: 61.4, started: 4.1, attempts: 2,
                    message: "passed on attempt 2", outputPath: "tasks/shard/lin-1/2/output"))
        ),
        (65.6, .taskStarted(shard(1, on: "lin-2"), attempt: 1)),
        (
            66.0,
            .taskFinished(
                TaskResult(
                    id: shard(1, on: "lin-2"), outcome: .panicked, duration: 0.4, started: 65.6,
                    message: "the guest's kernel panicked", consoleTail: panic,
                    outputPath: "tasks/shard/lin-2/1/output"))
        ),
        (66.1, .guestFailed(guest: "lin-2", outcome: .panicked, message: "Kernel panic", consoleTail: panic)),
        (66.1, .guestEnded(guest: "lin-2", orderly: false, reason: "killed after a panic")),
        (66.2, .note(level: .warning, message: "console of lin-2 was cut")),
        (
            66.3,
            .taskFinished(
                TaskResult(
                    id: after, outcome: .skipped, duration: 0, started: 66.3, attempts: 0,
                    message: "needs kernel, which failed"))
        ),
        (67, .interrupted(reason: "SIGINT")),
        (67.5, .guestEnded(guest: "lin-1", orderly: true, reason: "powered off")),
        (67.9, .admissionEnded(admission)),
        (
            68,
            .runFinished(
                RunSummary(
                    status: .interrupted, duration: 68,
                    counts: ["passed": 1, "flaky": 1, "failed": 1, "panicked": 1, "skipped": 1]))
        ),
    ]
}

/// Plays the script through a recorder.
func play(_ sinks: [any RunSink], _ events: [(Double, RunEvent)] = script(), clock: ManualClock = ManualClock()) {
    let recorder = RunRecorder(sinks: sinks, clock: clock.run)
    for (time, event) in events {
        clock.now = time
        recorder.emit(event)
    }
    recorder.finish()
}
