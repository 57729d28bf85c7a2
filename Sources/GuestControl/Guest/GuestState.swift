/// The state of a guest: a value whose legal transitions are all in `after`. The end of a machine is in its session
/// (`GuestSession.loss`); `lost` here is a guest without a session.
package enum GuestState: Sendable, Hashable {
    /// The vCPUs run.
    case running(Contents)
    /// The vCPUs are paused while the guest is idle.
    case resting(Contents)
    /// Powered off; its machine and disks still exist.
    case off
    /// It did not come back when it was restored from a snapshot.
    case lost(GuestLoss)

    /// The contents of a guest that is up.
    package struct Contents: Sendable, Hashable {
        /// Unused since its ready point.
        var isFresh = true
        /// A cancelled caller's command may still be running: it must be ended before the next one.
        var hasLeftCommand = false
        /// The guest was paused, and its clock has not been set since.
        var isClockBehind = false

        static let fresh = Contents()
        static let used = Contents(isFresh: false)
    }

    package enum Move: Sendable {
        /// The guest is about to be used.
        case use
        /// A command is left running; it is ended.
        case leaveCommand, endCommand
        /// The vCPUs are paused while idle; they are resumed.
        case rest, wake
        /// The guest was paused on request; its clock has been set.
        case fallBehind, setClock
        /// It powers off; it boots again.
        case powerOff, start
        /// It is reset to its ready point; it is restored from a snapshot.
        case renew, restore
        /// It is lost while being restored.
        case lose(GuestLoss)
    }

    /// The state after a transition; nil for an illegal one.
    func after(_ move: Move) -> GuestState? {
        switch (self, move) {
        case (.lost, _): nil
        case (_, .lose(let loss)): .lost(loss)
        case (.off, .start): .running(.used)
        case (.off, _): nil
        case (_, .renew): .running(.fresh)
        case (_, .restore): .running(.used)
        case (.resting(let contents), .wake): .running(contents)
        case (.resting, _): nil
        case (.running(let contents), .rest): .resting(contents)
        case (.running, .powerOff): .off
        case (.running(var contents), .use): contents.with { $0.isFresh = false }
        case (.running(var contents), .leaveCommand): contents.with { $0.hasLeftCommand = true }
        case (.running(var contents), .endCommand): contents.with { $0.hasLeftCommand = false }
        case (.running(var contents), .fallBehind): contents.with { $0.isClockBehind = true }
        case (.running(var contents), .setClock): contents.with { $0.isClockBehind = false }
        case (.running, .start), (.running, .wake): nil
        }
    }

    /// The contents; nil for a guest that is not up.
    var contents: Contents? {
        switch self {
        case .running(let contents), .resting(let contents): contents
        case .off, .lost: nil
        }
    }
}

extension GuestState.Contents {
    fileprivate mutating func with(_ change: (inout Self) -> Void) -> GuestState {
        change(&self)
        return .running(self)
    }
}
