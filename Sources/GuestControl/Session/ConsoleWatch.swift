import GuestConsole
import HostSystem
import LabResults
import Logging
import Synchronization

/// Records a guest's kernel console and watches it for trouble, and for the guest's end.
final class ConsoleWatch: Sendable {
    /// Set when the guest can no longer be used; a panic that is believed sets it.
    let loss = Completion<GuestLoss>()
    /// What the console says, for who waits on it.
    let said = Transcript()

    private struct State {
        var lines = ConsoleLog()
        var detector = PanicDetector()
        /// Nil once the guest is ready.
        var boot: BootWatch?
        /// What the kernel said of its end, while its last lines are still coming or nobody knows yet whether it is true.
        var end: (report: PanicDetector.Trouble, saidAll: Completion<Void>)?
        /// Trouble whose last lines are still coming.
        var trouble: Completion<Void>?
        /// Trouble that no task has been told of.
        var troubles: [PanicDetector.Trouble] = []

        /// Runs the detector, and keeps what it finds. Returns what has begun.
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

        /// Returns the report if it has begun with this.
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

    /// How many of the console's last lines a failure shows.
    private static let tailLength = 20
    /// How long a kernel in trouble may take to say all.
    private static let lastWords = Duration.seconds(1)
    /// Reports that are kept for the next task: a guest does not size our memory.
    private static let mostTroubles = 16

    private let state = Mutex(State())
    private let log: @Sendable (ArraySlice<UInt8>) -> Void
    private let onNote: @Sendable (String) -> Void
    private let pulse: GuestPulse
    private let logger: Logger

    /// `log` gets every byte, `onNote` what is worth telling and not fatal. `pulse` says whether a panic is to be believed.
    init(
        log: @escaping @Sendable (ArraySlice<UInt8>) -> Void, onNote: @escaping @Sendable (String) -> Void,
        pulse: GuestPulse, logger: Logger
    ) {
        self.log = log
        self.onNote = onNote
        self.pulse = pulse
        self.logger = logger
    }

    /// What the console said last, as text.
    var tail: [String] { state.withLock { $0.lines.tail.suffix(Self.tailLength).map(\.text) } }

    /// As much of what the console said as is kept: the last 200 lines, as text.
    var kept: [String] { state.withLock { $0.lines.tail.map(\.text) } }

    // MARK: Booting

    /// The guest begins to boot.
    func beginBoot() { state.withLock { $0.boot = BootWatch() } }

    /// The guest is ready.
    func endBoot() { state.withLock { $0.boot = nil } }

    /// The guest says something on its other port.
    func hearElsewhere() { state.withLock { $0.boot?.receiveElsewhere() } }

    /// The boot that is on its way; nil for none.
    var boot: BootWatch? { state.withLock { $0.boot } }

    /// Has the boot that is on its way take something in. Returns the trouble that it tells of.
    func inBoot(_ change: (inout BootWatch) -> BootTrouble?) -> BootTrouble? {
        state.withLock { state in
            guard var boot = state.boot else { return nil }
            defer { state.boot = boot }
            return change(&boot)
        }
    }

    /// Takes the next bytes.
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

    /// The console has ended.
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

    /// What went wrong in the guest since this was last asked, with the lines around it. Waits for them for a second at most.
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

    // MARK: The guest's end

    /// The console says that the guest's kernel has ended: so it has, unless the guest goes on.
    private func judge(_ report: PanicDetector.Trouble) {
        // Unstructured on purpose: it ends by itself within seconds.
        Task { [self] in
            guard await pulse.goesOn() else { return panic(report.message) }
            state.withLock { state in
                state.end = nil
                // What comes from here on is news.
                state.detector = PanicDetector()
            }
            onNote("the console says, and the guest goes on: \(report.message)")
        }
    }

    /// The kernel panics, as its machine says or its silence: the guest is lost once all is said.
    func panic(_ message: String) {
        // Unstructured on purpose: it ends by itself within a second.
        Task { [self] in
            let saidAll = state.withLock { $0.end?.saidAll } ?? Completion()
            _ = try? await withDeadline(HostClock.now + Self.lastWords) { try await saidAll.wait() }
            loss.fulfil(panicLoss ?? GuestLoss(outcome: .panicked, message: message, consoleTail: tail))
        }
    }

    /// The loss of a guest whose console says that its kernel has ended, and that has stopped; nil when it says no such thing.
    var panicLoss: GuestLoss? {
        state.withLock { $0.end?.report }.map {
            let remedy = BootTrouble.explaining(panic: $0.message).map { ": \($0.message)" } ?? ""
            return GuestLoss(
                outcome: .panicked, message: $0.message + remedy, consoleTail: $0.lines.map(\.text), isGuestsDoing: true
            )
        }
    }
}
