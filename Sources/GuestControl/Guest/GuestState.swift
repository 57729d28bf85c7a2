/// What a guest is at: a value whose legal moves are `after`, the one table of them.
///
/// That a machine ends is its session's news, `GuestSession.loss`; here a guest is lost that has no session any more.
package enum GuestState: Sendable, Hashable {
    /// Its processors run.
    case running(Contents)
    /// Its processors stand still while nobody asks anything of it.
    case resting(Contents)
    /// It is powered off, and has its machine and its disks still.
    case off
    /// It was to go back to a snapshot and did not come back.
    case lost(GuestLoss)

    /// What is in a guest that is up.
    package struct Contents: Sendable, Hashable {
        /// Nothing has happened in it since its ready point.
        var isFresh = true
        /// A command was left running when its caller was cancelled: it must be ended before the next.
        var hasLeftCommand = false
        /// It stood still, and its clock has not been set since.
        var isClockBehind = false

        static let fresh = Contents()
        static let used = Contents(isFresh: false)
    }

    package enum Move: Sendable {
        /// Something is about to happen in it.
        case use
        /// A command is left running, and is ended.
        case leaveCommand, endCommand
        /// Its processors stop until something is asked of it, and go on.
        case rest, wake
        /// It stood still at somebody's wish, and has been given the time.
        case fallBehind, setClock
        /// It powers off, and boots again.
        case powerOff, start
        /// It is made anew, as it was at its ready point; or what it was at a snapshot.
        case renew, restore
        /// It is gone on its way back.
        case lose(GuestLoss)
    }

    /// The state after a move; nil for a move that this state does not have.
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

    /// What is in the guest; nil where it is not up.
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
