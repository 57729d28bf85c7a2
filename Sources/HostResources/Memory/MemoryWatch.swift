import HostSystem
import LabResults
import LabSpec
import Logging
import Quantities
import Synchronization

/// Measures what guests hold and what the host has left, and tells admission: what overcommit stands on.
///
/// The host is read at every tick. A guest is read at every tick while it comes up or grows, then ever more rarely: a
/// thousand idle guests cost a reading of a small file every few milliseconds.
package final class MemoryWatch: MachineObserver {
    /// Between two readings of the host. Memory that is filled at a gigabyte a second has not used up the reserve of a host
    /// of 24 GiB in between.
    static let interval = Duration.milliseconds(500)
    /// The most ticks between two readings of a guest; of one while memory is short.
    private static let longestPause = 32
    private static let pauseWhenShort = 4
    /// A guest that holds so small a part more than before does not grow.
    private static let steadyShare: UInt64 = 32

    private let log = Logger(label: "vmlab.resources")

    private struct Machine {
        let number: Int
        var isUp = false
        var held: UInt64 = 0
        var pause = 1
        var nextTick = 0
    }

    private struct State {
        var tick = 0
        /// By process. A guest has two machines while its next one comes up beside the present one.
        var machines: [Int32: Machine] = [:]

        /// What the machines of a guest hold together, and whether one of them is up.
        func sum(of number: Int) -> (held: UInt64, isUp: Bool) {
            machines.values.reduce((0, false)) { sum, machine in
                machine.number == number ? (sum.0 &+ machine.held, sum.1 || machine.isUp) : sum
            }
        }
    }

    private let meter: any MemoryMeter
    private let admission: Admission
    private let boots: AsyncSemaphore
    private let recorder: RunRecorder
    private let state = Mutex(State())

    /// A watch that tells `admission`, and has `boots` of guests that are let in already go one at a time while memory is short.
    package init(meter: any MemoryMeter, admission: Admission, boots: AsyncSemaphore, recorder: RunRecorder) {
        self.meter = meter
        self.admission = admission
        self.boots = boots
        self.recorder = recorder
    }

    package func started(_ machine: RunningMachine) async {
        guard let number = machine.number else { return }
        state.withLock { $0.machines[machine.processID] = Machine(number: number, nextTick: $0.tick) }
    }

    package func ready(_ machine: RunningMachine) {
        state.withLock { state in
            state.machines[machine.processID]?.isUp = true
            state.machines[machine.processID]?.pause = 1
            state.machines[machine.processID]?.nextTick = state.tick
        }
    }

    package func ended(_ machine: RunningMachine) async {
        state.withLock { $0.machines[machine.processID] = nil }
    }

    /// Watches until the task is cancelled. `makeRoom` is called while the host is short or guests wait.
    package func run(makeRoom: @Sendable () async -> Void) async {
        while !Task.isCancelled {
            tick()
            if admission.level == .critical || admission.isAwaited { await makeRoom() }
            guard (try? await HostClock.sleep(for: Self.interval)) != nil else { return }
        }
    }

    /// Reads what is due.
    func tick() {
        let isShort = admission.level > .ample
        let due = state.withLock { state -> [Int32] in
            state.tick += 1
            return state.machines.filter { _, machine in
                machine.nextTick <= state.tick
                    || (isShort && machine.nextTick - machine.pause + Self.pauseWhenShort <= state.tick)
            }.map(\.key)
        }
        let numbers = Set(
            due.compactMap { processID in
                meter.held(by: processID).flatMap { note(processID, holds: $0) }
            })
        for (number, sum) in state.withLock({ state in numbers.map { ($0, state.sum(of: $0)) } }) {
            admission.measure(number, holds: sum.held, isUp: sum.isUp)
        }
        let host = meter.host()
        log.trace(
            "memory of the host",
            metadata: [
                "available": "\(ByteCount(host.available))", "pressure": "\(host.pressure?.some ?? 0)",
                "level": "\(admission.level)",
            ])
        if let news = admission.see(host) { tell(host, news.level, reserve: news.reserve) }
    }

    /// Keeps a reading and tells whose it is; nil when the machine has gone meanwhile.
    private func note(_ processID: Int32, holds held: UInt64) -> Int? {
        state.withLock { state in
            guard var machine = state.machines[processID] else { return nil }
            let grows = held > machine.held && held - machine.held > machine.held / Self.steadyShare
            machine.pause = grows || !machine.isUp ? 1 : min(machine.pause * 2, Self.longestPause)
            machine.nextTick = state.tick + machine.pause
            machine.held = held
            state.machines[processID] = machine
            return machine.number
        }
    }

    private func tell(_ host: HostMemory, _ level: MemoryLevel, reserve: ByteCount) {
        log.debug("memory is \(level)", metadata: ["available": "\(ByteCount(host.available))"])
        boots.throttle(level > .ample)
        guard level > .ample else {
            return recorder.emit(.note(level: .info, message: "memory pressure is over: starting guests again"))
        }
        var reasons: [String] = []
        if host.available < reserve.bytes {
            reasons.append("\(ByteCount(host.available)) are free, less than the reserve of \(reserve)")
        }
        if let pressure = host.pressure, pressure.some >= 1 {
            reasons.append("processes of this host waited for memory \(Int(pressure.some.rounded())) % of the time")
        }
        recorder.emit(
            .note(
                level: .warning,
                message: "memory is short: \(reasons.joined(separator: "; ")); new guests wait"))
    }
}
