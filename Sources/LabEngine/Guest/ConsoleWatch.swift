import GuestConsole
import HostSystem

/// Records a guest's kernel console and watches it for the guest's end.
final class ConsoleWatch: Sendable {
    /// Set when the guest can no longer be used; a fatal finding on the console sets it.
    let loss = Completion<GuestLoss>()

    private let log: ConsoleLog
    private let onNote: @Sendable (String) -> Void

    /// `log` gets every byte, `onNote` what is worth telling and not fatal.
    init(log: @escaping @Sendable (ArraySlice<UInt8>) -> Void, onNote: @escaping @Sendable (String) -> Void) {
        self.log = ConsoleLog(onLine: log)
        self.onNote = onNote
    }

    /// What the console said last, as text.
    var tail: [String] { log.tail }

    func append(_ bytes: ArraySlice<UInt8>) { hear(log.append(bytes)) }

    /// The console has ended.
    func finish() { log.finish() }

    private func hear(_ findings: [PanicDetector.Finding]) {
        for finding in findings {
            if finding.isFatal {
                loss.fulfil(
                    GuestLoss(outcome: .panicked, message: finding.summary, consoleTail: finding.excerpt))
            } else {
                onNote(finding.summary)
            }
        }
    }
}
