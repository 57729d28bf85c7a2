import QMP

/// The machine's state; `after` is the one table of legal transitions.
enum MachineState: Sendable, Hashable {
    /// Its vCPUs are paused.
    case paused(isPanicked: Bool)
    /// Its vCPUs run. A panicked kernel may continue to run.
    case running(isPanicked: Bool)
    /// The guest powered off; the machine waits to be powered on.
    case off
    /// A vCPU met an error that only a reset clears.
    case failed
    /// It was saved, and its memory now belongs to the snapshot.
    case saved
    /// The process is about to exit with this status.
    case ended(VMMExitStatus)

    enum Move: Sendable {
        /// A client pauses, resumes or resets the machine.
        case hold, resume, reset
        /// The guest resets, panics, or powers off with this configured action.
        case reboot, panic, powerOff(ShutdownAction)
        /// A vCPU met a fatal error.
        case fail
        /// It was saved, and its memory now belongs to the snapshot.
        case save
        /// The process must exit.
        case end(VMMExitStatus)
    }

    /// The state after a transition; nil when it is illegal in this state.
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
        // A panicked guest has failed, even if it powers off.
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
