import LabSpec
import Synchronization

/// Lets guests in as far as the budget goes, first come, first served; what does not fit waits for what leaves.
///
/// The budget has two sides: memory (nominal RAM plus measured overhead) and the number of guests at a time.
final class Admission: Sendable {
    private struct Waiter {
        let ticket: Int
        let cost: ByteCount
        let continuation: CheckedContinuation<Bool, Never>
    }

    private struct State {
        var free: UInt64
        var seats: Int
        var waiters: [Waiter] = []
        var nextTicket = 0
        var cancelled: Set<Int> = []
    }

    private let state: Mutex<State>
    private let onWaiting: @Sendable () -> Void

    /// A budget of `memory` and at most `seats` guests at a time. `onWaiting` hears that somebody began to wait.
    init(memory: ByteCount, seats: Int, onWaiting: @escaping @Sendable () -> Void = {}) {
        state = Mutex(State(free: memory.bytes, seats: seats))
        self.onWaiting = onWaiting
    }

    /// What the first who waits lacks.
    struct Shortage: Sendable, Hashable {
        /// Bytes.
        var memory: UInt64
        /// Guests too many, 0 or 1.
        var seats: Int

        /// Whether anything is still lacking.
        var isShort: Bool { memory > 0 || seats > 0 }

        /// A guest of this cost will leave.
        mutating func cover(_ cost: ByteCount) {
            memory -= min(memory, cost.bytes)
            seats = max(0, seats - 1)
        }
    }

    /// What the first who waits lacks; nil when nobody waits.
    var shortage: Shortage? {
        state.withLock { state in
            guard let first = state.waiters.first else { return nil }
            return Shortage(
                memory: first.cost.bytes - min(first.cost.bytes, state.free), seats: state.seats > 0 ? 0 : 1)
        }
    }

    /// Whether `acquire` would return at once.
    func wouldAdmit(_ cost: ByteCount) -> Bool {
        state.withLock { $0.waiters.isEmpty && $0.seats > 0 && $0.free >= cost.bytes }
    }

    /// Waits until `cost` fits, then takes it. False when the task was cancelled: nothing is taken then.
    func acquire(_ cost: ByteCount) async -> Bool {
        let ticket = state.withLock { state -> Int in
            state.nextTicket += 1
            return state.nextTicket
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let answer = state.withLock { state -> Bool? in
                    if state.cancelled.remove(ticket) != nil { return false }
                    if state.waiters.isEmpty, state.seats > 0, state.free >= cost.bytes {
                        state.free -= cost.bytes
                        state.seats -= 1
                        return true
                    }
                    state.waiters.append(Waiter(ticket: ticket, cost: cost, continuation: continuation))
                    return nil
                }
                if let answer { continuation.resume(returning: answer) } else { onWaiting() }
            }
        } onCancel: {
            let waiter = state.withLock { state -> Waiter? in
                guard let place = state.waiters.firstIndex(where: { $0.ticket == ticket }) else {
                    state.cancelled.insert(ticket)
                    return nil
                }
                return state.waiters.remove(at: place)
            }
            waiter?.continuation.resume(returning: false)
            if waiter != nil { admitWaiters() }
        }
    }

    /// Gives back what `acquire` took.
    func release(_ cost: ByteCount) {
        state.withLock { state in
            state.free += cost.bytes
            state.seats += 1
        }
        admitWaiters()
    }

    private func admitWaiters() {
        let admitted = state.withLock { state -> [Waiter] in
            var admitted: [Waiter] = []
            while let first = state.waiters.first, state.seats > 0, state.free >= first.cost.bytes {
                state.free -= first.cost.bytes
                state.seats -= 1
                admitted.append(state.waiters.removeFirst())
            }
            return admitted
        }
        for waiter in admitted { waiter.continuation.resume(returning: true) }
    }
}
