import QMP

/// What the monitor's machine is at: a value whose legal moves are `after`, the one table of them.
enum MachineState: Sendable, Hashable {
    /// Its processors are held.
    case paused(isPanicked: Bool)
    /// Its processors run. A kernel that has panicked may run on.
    case running(isPanicked: Bool)
    /// Its guest has powered it off; it waits to be powered on.
    case off
    /// A processor met an error that only a reset cures.
    case failed
    /// It was saved with its memory, which is the snapshot's now.
    case saved
    /// The process is about to end with this.
    case ended(VMMExitStatus)

    enum Move: Sendable {
        /// Its client holds the processors, lets them run, or resets it.
        case hold, resume, reset
        /// Its guest resets it, panics, or powers it off, where this is what then becomes of it.
        case reboot, panic, powerOff(ShutdownAction)
        /// A processor cannot go on.
        case fail
        /// It is saved, and its memory belongs to the snapshot from here on.
        case save
        /// Its process is to end.
        case end(VMMExitStatus)
    }

    /// The state after a move; nil for a move that this state does not have.
    func after(_ move: Move) -> MachineState? {
        switch (self, move) {
        case (.ended, _): nil
        case (_, .end(let status)): .ended(status)
        case (.saved, _): nil
        case (.off, .reset): .paused(isPanicked: false)
        case (.failed, .reset): .running(isPanicked: false)
        case (.off, _), (.failed, _): nil
        case (.paused, .reset), (.paused, .reboot): .paused(isPanicked: false)
        case (.running, .reset), (.running, .reboot): .running(isPanicked: false)
        case (.paused, .panic): .paused(isPanicked: true)
        case (.running, .panic): .running(isPanicked: true)
        // What panicked has failed, whatever it does then.
        case (.paused(isPanicked: true), .powerOff), (.running(isPanicked: true), .powerOff): .ended(.guestFailed)
        case (.paused, .powerOff(.pause)), (.running, .powerOff(.pause)): .off
        case (.paused, .powerOff(.poweroff)), (.running, .powerOff(.poweroff)): .ended(.poweredOff)
        case (.paused, .fail), (.running, .fail): .failed
        case (.paused(isPanicked: false), .save), (.running(isPanicked: false), .save): .saved
        case (.running(let isPanicked), .hold): .paused(isPanicked: isPanicked)
        case (.paused(let isPanicked), .resume): .running(isPanicked: isPanicked)
        case (.paused, .hold), (.running, .resume), (.paused, .save), (.running, .save): nil
        }
    }

    /// The same in QMP's words.
    var runState: RunState {
        switch self {
        case .paused: .paused
        case .running: .running
        case .off, .ended: .shutdown
        case .failed: .internalError
        case .saved: .saved
        }
    }
}
