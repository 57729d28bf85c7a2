import GuestConsole
import HostSystem
import LabResults
import Logging
import Synchronization

/// Records a guest's kernel console and detects kernel trouble and panics.
final class ConsoleWatch: Sendable {
    /// Fulfilled when the guest is lost; a confirmed panic fulfils it.
    let loss = Completion<GuestLoss>()
    /// The console's output, for waits on patterns.
    let said = Transcript()

    private struct State {
        var lines = ConsoleLog()
        var detector = PanicDetector()
        /// Nil once the guest is ready.
        var boot: BootWatch?
        /// A reported panic whose last lines are outstanding, or that is not confirmed yet.
        var end: (report: PanicDetector.Trouble, saidAll: Completion<Void>)?
        /// Trouble whose last lines are outstanding.
        var trouble: Completion<Void>?
        /// Trouble that has not been reported to a task.
        var troubles: [PanicDetector.Trouble] = []

        /// Runs the detector and stores its findings. Returns what has begun.
        mutating func detect(
            _ lines: (inout ConsoleLog, (ConsoleLine) -> Void) -> Void, isLast: Bool = false
        ) -> [PanicDetector.Trouble] {
            var findings: [PanicDetector.Finding] = []
            var detector = self.detector
            lines(&self.lines) { findings += detector.receive($0) }
            if isLast { findings += detector.finish() }
            self.detector = detector
            return findings.compactMap { keep($0) }
        }

        /// Returns the report that begins with this finding, if any.
        private mutating func keep(_ finding: PanicDetector.Finding) -> PanicDetector.Trouble? {
            switch finding {
            case .began(let report):
                if report.isFatal { end = end ?? (report, Completion()) } else { trouble = Completion() }
                return report
            case .completed(let report) where report.isFatal:
                end?.report = report
                end?.saidAll.fulfil()
            case .completed(let report):
                if troubles.count < ConsoleWatch.mostTroubles { troubles.append(report) }
                trouble?.fulfil()
                trouble = nil
            }
            return nil
        }
    }

    /// The number of console lines shown with a failure.
    private static let tailLength = 20
    /// How long a kernel in trouble may take to finish its report.
    private static let lastWords = Duration.seconds(1)
    /// The limit for stored reports: a guest must not exhaust the host's memory.
    private static let mostTroubles = 16

    private let state = Mutex(State())
    private let log: @Sendable (ArraySlice<UInt8>) -> Void
    private let onNote: @Sendable (String) -> Void
    private let pulse: GuestPulse
    private let logger: Logger

    /// `log` receives every byte, `onNote` nonfatal notes. `pulse` confirms or refutes a panic.
    init(
        log: @escaping @Sendable (ArraySlice<UInt8>) -> Void, onNote: @escaping @Sendable (String) -> Void,
        pulse: GuestPulse, logger: Logger
    ) {
        self.log = log
        self.onNote = onNote
        self.pulse = pulse
        self.logger = logger
    }

    var tail: [String] { state.withLock { $0.lines.tail.suffix(Self.tailLength).map(\.text) } }

    /// The stored console lines, at most 200, as text.
    var kept: [String] { state.withLock { $0.lines.tail.map(\.text) } }

    // MARK: Booting

    func beginBoot() { state.withLock { $0.boot = BootWatch() } }

    /// The guest is ready.
    func endBoot() { state.withLock { $0.boot = nil } }

    /// Output was received on the guest's other port.
    func hearElsewhere() { state.withLock { $0.boot?.receiveElsewhere() } }

    var boot: BootWatch? { state.withLock { $0.boot } }

    /// Updates the boot in progress. Returns the trouble found.
    func inBoot(_ change: (inout BootWatch) -> BootTrouble?) -> BootTrouble? {
        state.withLock { state in
            guard var boot = state.boot else { return nil }
            defer { state.boot = boot }
            return change(&boot)
        }
    }

    func append(_ bytes: ArraySlice<UInt8>) {
        log(bytes)
        said.append(bytes)
        let (reports, before, stage) = state.withLock { state in
            let before = state.boot?.stage
            state.boot?.receive(bytes)
            return (state.detect { lines, line in lines.receive(bytes, line: line) }, before, state.boot?.stage)
        }
        if let stage, stage != before {
            logger.debug(
                before == .silent ? "first output on its console" : "its boot goes on", metadata: ["stage": "\(stage)"])
        }
        receive(reports)
    }

    /// The console was closed.
    func finish() {
        said.end()
        receive(state.withLock { $0.detect({ lines, line in lines.finish(line: line) }, isLast: true) })
    }

    private func receive(_ reports: [PanicDetector.Trouble]) {
        for report in reports {
            if report.isFatal {
                judge(report)
            } else {
                onNote("\(report.kind.rawValue): \(report.message)")
            }
        }
    }

    /// The kernel trouble since the last call, with its context lines; waits at most one second for those.
    func takeTroubles() async -> [PanicDetector.Trouble] {
        if let more = state.withLock({ $0.trouble }) {
            _ = try? await withDeadline(HostClock.now + Self.lastWords) { try await more.wait() }
        }
        return state.withLock { state in
            if state.trouble != nil { _ = state.detect({ _, _ in }, isLast: true) }
            defer { state.troubles = [] }
            return state.troubles
        }
    }

    // MARK: Panics

    /// A panic was reported on the console: it is believed unless the guest proves to be alive.
    private func judge(_ report: PanicDetector.Trouble) {
        // Unstructured on purpose: it ends on its own within seconds.
        Task { [self] in
            guard await pulse.goesOn() else { return panic(report.message) }
            state.withLock { state in
                state.end = nil
                // Later output is judged anew.
                state.detector = PanicDetector()
            }
            onNote("the console says, and the guest goes on: \(report.message)")
        }
    }

    /// A panic that the machine reported or silence showed: the guest is lost once the report is complete.
    func panic(_ message: String) {
        // Unstructured on purpose: it ends on its own within a second.
        Task { [self] in
            let saidAll = state.withLock { $0.end?.saidAll } ?? Completion()
            _ = try? await withDeadline(HostClock.now + Self.lastWords) { try await saidAll.wait() }
            loss.fulfil(panicLoss ?? GuestLoss(outcome: .panicked, message: message, consoleTail: tail))
        }
    }

    /// The loss for a stopped guest whose console reported a panic; nil without such a report.
    var panicLoss: GuestLoss? {
        state.withLock { $0.end?.report }.map {
            let remedy = BootTrouble.explaining(panic: $0.message).map { ": \($0.message)" } ?? ""
            return GuestLoss(
                outcome: .panicked, message: $0.message + remedy, consoleTail: $0.lines.map(\.text), isGuestsDoing: true
            )
        }
    }
}
