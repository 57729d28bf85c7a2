import Testing

@testable import GuestControl

/// The table of a guest's moves, without any guest.
@Suite struct GuestStateTests {
    private static let loss = GuestLoss(outcome: .error, message: "gone", consoleTail: [])
    private static let moves: [GuestState.Move] = [
        .use, .leaveCommand, .endCommand, .rest, .wake, .fallBehind, .setClock, .powerOff, .start, .renew, .restore,
        .lose(loss),
    ]

    /// What `moves` come to, one after the other; nil when one of them is none of its state.
    private func state(after moves: GuestState.Move..., from start: GuestState = .running(.fresh)) -> GuestState? {
        moves.reduce(start) { $0?.after($1) }
    }

    @Test func aGuestIsFreshUntilItIsUsedAndAfterItIsRenewed() {
        #expect(state(after: .use) == .running(.used))
        #expect(state(after: .use, .rest, .wake) == .running(.used))
        #expect(state(after: .rest, .wake) == .running(.fresh))
        #expect(state(after: .use, .renew) == .running(.fresh))
        #expect(state(after: .use, .restore) == .running(.used))
    }

    @Test func whatWasLeftRunningIsGoneWithTheMachine() {
        let left = GuestState.running(.init(isFresh: false, hasLeftCommand: true))
        #expect(state(after: .use, .leaveCommand) == left)
        #expect(state(after: .endCommand, from: left) == .running(.used))
        #expect(state(after: .rest, .wake, from: left) == left)
        for move in [GuestState.Move.renew, .restore] {
            #expect(left.after(move)?.contents?.hasLeftCommand == false)
        }
        #expect(state(after: .powerOff, .start, from: left) == .running(.used))
    }

    @Test func itsClockIsBehindUntilItIsSet() {
        #expect(state(after: .fallBehind)?.contents?.isClockBehind == true)
        #expect(state(after: .fallBehind, .setClock)?.contents?.isClockBehind == false)
        #expect(state(after: .fallBehind, .powerOff, .start)?.contents?.isClockBehind == false)
    }

    @Test(
        "The moves that each state has",
        arguments: [
            (GuestState.running(.used), [3, 7, 0, 1, 2, 5, 6, 9, 10, 11]),
            (.resting(.used), [4, 9, 10, 11]),
            (.off, [8, 11]),
            (.lost(loss), []),
        ])
    func legalMoves(_ state: GuestState, _ legal: [Int]) {
        #expect(Self.moves.indices.filter { state.after(Self.moves[$0]) != nil } == legal.sorted())
    }
}
