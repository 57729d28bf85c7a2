import GuestConsole
import HostSystem
import LabResults
import Synchronization

/// Records a guest's kernel console and watches it for the guest's end.
final class ConsoleWatch: Sendable {
    /// Set when the guest can no longer be used; a fatal finding on the console sets it.
    let loss = Completion<GuestLoss>()
    /// What the console says, for who waits on it.
    let said = Transcript()

    private struct State {
        var lines = ConsoleLog()
        var detector = PanicDetector()
        /// The fatal report whose last lines are still coming.
        var dying: PanicDetector.Report?
    }

    /// How many of the console's last lines a failure shows.
    private static let tailLength = 20
    /// How long a panicking kernel may take to say all.
    private static let lastWords = Duration.seconds(1)

    private let state = Mutex(State())
    private let saidAll = Completion<Bool>()
    private let log: @Sendable (ArraySlice<UInt8>) -> Void
    private let onNote: @Sendable (String) -> Void

    /// `log` gets every byte, `onNote` what is worth telling and not fatal.
    init(log: @escaping @Sendable (ArraySlice<UInt8>) -> Void, onNote: @escaping @Sendable (String) -> Void) {
        self.log = log
        self.onNote = onNote
    }

    /// What the console said last, as text.
    var tail: [String] { state.withLock { $0.lines.tail.suffix(Self.tailLength).map(\.text) } }

    /// As much of what the console said as is kept: the last 200 lines, as text.
    var kept: [String] { state.withLock { $0.lines.tail.map(\.text) } }

    /// Takes the next bytes.
    func append(_ bytes: ArraySlice<UInt8>) {
        log(bytes)
        said.append(bytes)
        hear(
            state.withLock { state in
                var findings: [PanicDetector.Finding] = []
                var detector = state.detector
                state.lines.receive(bytes) { findings += detector.receive($0) }
                state.detector = detector
                return findings
            })
    }

    /// The console has ended.
    func finish() {
        said.end()
        hear(
            state.withLock { state in
                var findings: [PanicDetector.Finding] = []
                var detector = state.detector
                state.lines.finish { findings += detector.receive($0) }
                findings += detector.finish()
                state.detector = detector
                return findings
            })
    }

    private func hear(_ findings: [PanicDetector.Finding]) {
        for finding in findings {
            switch finding {
            case .began(let report) where report.isFatal:
                state.withLock { $0.dying = report }
                panic(report.message)
            case .began(let report):
                onNote("\(report.kind): \(report.message)")
            case .completed(let report) where report.isFatal:
                state.withLock { $0.dying = report }
                saidAll.fulfil(true)
            case .completed:
                break
            }
        }
    }

    /// The kernel panics, as it says itself or as its machine does: the guest is lost once all is said.
    func panic(_ message: String) {
        // Unstructured on purpose: it ends by itself within a second.
        Task { [self] in
            _ = try? await withDeadline(.now + Self.lastWords) { [saidAll] in try await saidAll.wait() }
            let report = state.withLock { $0.dying }
            loss.fulfil(
                GuestLoss(
                    outcome: .panicked, message: report?.message ?? message,
                    consoleTail: report.map { $0.lines.map(\.text) } ?? tail))
        }
    }
}
