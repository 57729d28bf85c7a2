import LabResults
import LabSpec
import Quantities
import Synchronization

/// Admits guests within the budget, first in, first out; a guest that does not fit waits until others leave. The budget has two
/// parts: memory, accounted by a `MemoryLedger`, and the number of concurrent guests.
package final class Admission: Sendable {
    private struct Waiter {
        let ticket: Int
        let claim: Claim
        let continuation: CheckedContinuation<Bool, Never>
    }

    private struct State {
        var ledger: MemoryLedger
        var slots: Int
        var waiters: [Waiter] = []
        var nextTicket = 0
        var cancelled: Set<Int> = []
        var summary: AdmissionSummary

        func obstacle(to claim: Claim) -> Obstacle? {
            if slots <= 0 { return .slots }
            return ledger.obstacle(to: claim).map { .memory($0) }
        }

        mutating func admit(_ claim: Claim) {
            ledger.take(claim)
            slots -= 1
            summary.peakGuests = max(summary.peakGuests, ledger.count)
            summary.peakMemory = max(summary.peakMemory, ledger.charged)
        }
    }

    /// Why a guest has to wait.
    package enum Obstacle: Hashable {
        /// Earlier guests are waiting.
        case queue
        case slots
        case memory(MemoryLedger.Obstacle)
    }

    private let state: Mutex<State>
    /// Yields when a guest begins to wait. For one reader.
    package let waits: AsyncStream<Void>
    private let waiting: AsyncStream<Void>.Continuation

    /// A budget of `memory` and at most `slots` concurrent guests.
    package init(memory: ByteCount, slots: Int, mode: AdmissionMode = .strict) {
        state = Mutex(
            State(
                ledger: MemoryLedger(mode: mode, limit: memory), slots: slots,
                summary: AdmissionSummary(mode: mode.rawValue)))
        (waits, waiting) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// What has to be freed.
    package struct Shortage: Sendable, Hashable {
        /// Bytes.
        var memory: UInt64
        /// Slots, 0 or 1.
        var slots: Int
        /// Whether the host itself is short of memory: then an idle guest has to leave however little it holds.
        package var isPressing = false

        package var isShort: Bool { memory > 0 || slots > 0 }

        /// Subtracts what a leaving guest of this cost frees.
        package mutating func cover(_ cost: ByteCount) {
            memory -= min(memory, cost.bytes)
            slots = max(0, slots - 1)
        }
    }

    /// What the first waiting guest or the host lacks; nil when neither lacks anything.
    package var shortage: Shortage? {
        state.withLock { state in
            let wantedBack = state.ledger.wantedBack
            guard let first = state.waiters.first else {
                return wantedBack > 0 ? Shortage(memory: wantedBack, slots: 0, isPressing: true) : nil
            }
            let memory: UInt64 =
                switch state.ledger.obstacle(to: first.claim) {
                case .room(let lacking, _): lacking
                case .pressure: max(wantedBack, 1)
                case nil: 0
                }
            return Shortage(memory: memory, slots: state.slots > 0 ? 0 : 1, isPressing: wantedBack > 0)
        }
    }

    /// Why this claim would have to wait; nil when `acquire` would return at once.
    package func obstacle(to claim: Claim) -> Obstacle? {
        state.withLock { state in state.obstacle(to: claim) ?? (state.waiters.isEmpty ? nil : .queue) }
    }

    /// Whether `guests` guests of this cost, in all, would be admitted at once.
    package func fits(_ cost: ByteCount, guests: Int) -> Bool {
        state.withLock { state in
            state.waiters.isEmpty && state.slots >= guests && state.ledger.obstacle(to: Claim(cost)) == nil
        }
    }

    func acquire(_ cost: ByteCount) async -> Bool { await acquire(Claim(cost)) }

    /// Waits until the claim fits, then takes it. False when the task was cancelled: then nothing is taken.
    func acquire(_ claim: Claim) async -> Bool {
        let ticket = state.withLock { state -> Int in
            state.nextTicket += 1
            return state.nextTicket
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let answer = state.withLock { state -> Bool? in
                    if state.cancelled.remove(ticket) != nil { return false }
                    let obstacle = state.obstacle(to: claim)
                    if state.waiters.isEmpty, obstacle == nil {
                        state.admit(claim)
                        return true
                    }
                    state.summary.hold((obstacle ?? .queue).kind)
                    state.waiters.append(Waiter(ticket: ticket, claim: claim, continuation: continuation))
                    return nil
                }
                if let answer { continuation.resume(returning: answer) } else { waiting.yield() }
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

    func release(_ cost: ByteCount) { release(Claim(cost)) }

    /// Releases what `acquire` took.
    func release(_ claim: Claim) {
        state.withLock { state in
            state.ledger.give(claim)
            state.slots += 1
        }
        admitWaiters()
    }

    private func admitWaiters() {
        let admitted = state.withLock { state -> [Waiter] in
            // Removing waiters from the front one by one would cost the array's length each time.
            var count = 0
            while count < state.waiters.count, state.obstacle(to: state.waiters[count].claim) == nil {
                state.admit(state.waiters[count].claim)
                count += 1
            }
            defer { state.waiters.removeFirst(count) }
            return Array(state.waiters.prefix(count))
        }
        for waiter in admitted { waiter.continuation.resume(returning: true) }
    }

    // MARK: Measurements

    /// Updates an admitted guest's memory. See `MemoryLedger.measure`.
    func measure(_ guest: Int, holds held: UInt64, isUp: Bool) {
        state.withLock { state in
            state.ledger.measure(guest, holds: held, isUp: isUp)
            state.summary.peakMemory = max(state.summary.peakMemory, state.ledger.charged)
        }
    }

    /// Updates the host's memory, which may admit waiting guests. Returns the new level when it changes whether new guests are
    /// admitted.
    func see(_ host: HostMemory) -> (level: MemoryLevel, reserve: ByteCount)? {
        let news = state.withLock { state -> (MemoryLevel, ByteCount)? in
            guard state.ledger.see(host) else { return nil }
            return (state.ledger.level, ByteCount(state.ledger.reserve))
        }
        admitWaiters()
        return news
    }

    /// The level of the last reading.
    package var level: MemoryLevel { state.withLock { $0.ledger.level } }

    var isAwaited: Bool { state.withLock { !$0.waiters.isEmpty } }

    /// What the guest would free by leaving; nil under strict admission.
    package func reclaimable(from guest: Int) -> ByteCount? {
        state.withLock { $0.ledger.reclaimable(from: guest).map { ByteCount($0) } }
    }

    /// Counts a guest that was parked with work left.
    package func noteParked() { state.withLock { $0.summary.parked += 1 } }

    /// The ledger, and the number of free slots.
    var figures: (ledger: MemoryLedger, slots: Int) { state.withLock { ($0.ledger, $0.slots) } }

    package var summary: AdmissionSummary { state.withLock { $0.summary } }
}

extension Admission.Obstacle {
    /// The kind of obstacle, for counting.
    fileprivate var kind: String {
        switch self {
        case .queue: "earlier guests are waiting"
        case .slots: "the maximum number of guests was running"
        case .memory(.room): "the usable memory was taken"
        case .memory(.pressure): "the host was short of memory"
        }
    }

    /// The reason for the wait, for messages.
    package var words: String {
        switch self {
        case .queue: "waits: earlier guests are waiting"
        case .slots: "waits for a slot: the maximum number of guests is running"
        case .memory(.room(_, let cost)): "waits for \(ByteCount(cost)) of memory"
        case .memory(.pressure(let host, let reserve)):
            host.available < reserve
                ? "waits for memory: the host has \(ByteCount(host.available)) free, less than the reserve of \(ByteCount(reserve))"
                : "waits for memory: the host is short of it"
        }
    }
}
