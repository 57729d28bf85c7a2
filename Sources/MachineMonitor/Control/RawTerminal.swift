import CLinux
import Glibc

/// The terminal on standard input in raw mode, for the guest. Restored by `restore`, by the process's exit and by its crash.
final class RawTerminal: Sendable {
    /// Nil when standard input is not a terminal.
    init?() {
        guard vmlab_terminal_raw(0) == 0 else { return nil }
    }

    deinit { restore() }

    /// Restores the original mode. Safe to repeat.
    func restore() { vmlab_terminal_restore() }
}
