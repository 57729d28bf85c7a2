import Glibc
import Synchronization

/// Keeps a terminal in raw mode: every key, control-C too, is the guest's, and nothing is echoed or translated.
public final class RawTerminal: Sendable {
    private let number: Int32
    private let before: Mutex<termios?>

    /// Switches the terminal of descriptor `number`, which must stay open, to raw mode; nil when it is not a terminal.
    public init?(_ number: Int32) {
        var mode = termios()
        guard tcgetattr(number, &mode) == 0 else { return nil }
        self.number = number
        before = Mutex(mode)
        cfmakeraw(&mode)
        guard tcsetattr(number, TCSANOW, &mode) == 0 else { return nil }
    }

    deinit { restore() }

    /// Puts the terminal back as it was. Safe to repeat; call it before `exit`, which runs no `deinit`.
    public func restore() {
        guard var mode = before.withLock({ $0.take() }) else { return }
        // Not TCSADRAIN: a terminal that was stopped would hold us up.
        tcsetattr(number, TCSANOW, &mode)
    }
}
