import Glibc
import Synchronization

/// The terminal on standard input while it is a guest's console: every key goes to the guest, but for the escape.
final class Terminal: Sendable {
    private let before: Mutex<termios?>

    /// Sets raw mode, if standard input is a terminal.
    init() {
        var mode = termios()
        guard isatty(0) == 1, tcgetattr(0, &mode) == 0 else {
            before = Mutex(nil)
            return
        }
        before = Mutex(mode)
        cfmakeraw(&mode)
        tcsetattr(0, TCSANOW, &mode)
    }

    deinit { restore() }

    /// Back to the mode it had. Safe to repeat.
    func restore() {
        before.withLock { before in
            if var mode = before.take() { tcsetattr(0, TCSANOW, &mode) }
        }
    }
}

/// Finds the escape among the keys: Ctrl-A, then x ends the machine; a second Ctrl-A is one for the guest.
final class TerminalEscape: Sendable {
    private static let escape: UInt8 = 1

    private let onQuit: @Sendable () -> Void
    private let isEscaped = Mutex(false)

    init(onQuit: @escaping @Sendable () -> Void) { self.onQuit = onQuit }

    /// The keys that are the guest's.
    func filter(_ keys: [UInt8]) -> [UInt8] {
        isEscaped.withLock { isEscaped in
            var rest: [UInt8] = []
            for key in keys {
                if isEscaped {
                    isEscaped = false
                    if key == UInt8(ascii: "x") {
                        onQuit()
                    } else {
                        rest += key == Self.escape ? [key] : [Self.escape, key]
                    }
                } else if key == Self.escape {
                    isEscaped = true
                } else {
                    rest.append(key)
                }
            }
            return rest
        }
    }
}
