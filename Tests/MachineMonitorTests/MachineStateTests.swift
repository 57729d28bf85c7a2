import QMP
import Testing

@testable import MachineMonitor

/// The table of a machine's moves, without any machine.
@Suite("What the monitor's machine is at") struct MachineStateTests {
    private static let moves: [MachineState.Move] = [
        .hold, .resume, .reset, .reboot, .panic, .powerOff(.pause), .powerOff(.poweroff), .fail, .save,
        .end(.hostTrouble),
    ]

    /// What `moves` come to, one after the other; nil when one of them is none of its state.
    private func state(
        after moves: MachineState.Move..., from start: MachineState = .running(isPanicked: false)
    ) -> MachineState? {
        moves.reduce(start) { $0?.after($1) }
    }

    @Test("a panic is remembered until a reset, and makes a power-off a failure")
    func panic() {
        #expect(state(after: .panic, .hold, .resume) == .running(isPanicked: true))
        #expect(state(after: .panic, .powerOff(.poweroff)) == .ended(.guestFailed))
        #expect(state(after: .panic, .powerOff(.pause)) == .ended(.guestFailed))
        #expect(state(after: .panic, .reboot, .powerOff(.poweroff)) == .ended(.poweredOff))
        #expect(state(after: .panic, .hold, .reset) == .paused(isPanicked: false))
        #expect(state(after: .panic, .save) == nil)
    }

    @Test("a machine that is off stays held after a reset; one that failed runs")
    func reset() {
        #expect(state(after: .powerOff(.pause)) == .off)
        #expect(state(after: .powerOff(.pause), .reset) == .paused(isPanicked: false))
        #expect(state(after: .powerOff(.pause), .reset, .resume) == .running(isPanicked: false))
        #expect(state(after: .hold, .fail) == .failed)
        #expect(state(after: .fail, .reset) == .running(isPanicked: false))
    }

    @Test(
        "the moves that each state has, and its name in QMP",
        arguments: [
            (MachineState.paused(isPanicked: false), [1, 2, 3, 4, 5, 6, 7, 8, 9], RunState.paused),
            (.running(isPanicked: false), [0, 2, 3, 4, 5, 6, 7, 8, 9], .running),
            (.paused(isPanicked: true), [1, 2, 3, 4, 5, 6, 7, 9], .paused),
            (.running(isPanicked: true), [0, 2, 3, 4, 5, 6, 7, 9], .running),
            (.off, [2, 9], .shutdown), (.failed, [2, 9], .internalError), (.saved, [9], .saved),
            (.ended(.poweredOff), [], .shutdown),
        ])
    func legalMoves(_ state: MachineState, _ legal: [Int], _ name: RunState) {
        #expect(Self.moves.indices.filter { state.after(Self.moves[$0]) != nil } == legal)
        #expect(state.runState == name)
    }
}
