import HostSystem
import LabResults
import LabSpec
import Logging
import Quantities
import Synchronization

/// Measures the memory of guests and host for overcommit, and updates the admission. The host is read at every tick. A guest is
/// read at every tick while it boots or grows, then at growing intervals: a thousand idle guests cost one small file every few
/// milliseconds.
package final class MemoryWatch: MachineObserver {
    /// The time between two readings of the host. Filling memory at 1 GB/s does not use up the reserve of a 24 GiB host in it.
    static let interval = Duration.milliseconds(500)
    /// The most ticks between two readings of a guest, and the most while memory is short.
    private static let longestPause = 32
    private static let pauseWhenShort = 4
    /// Growth of less than this share counts as steady.
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
        /// By process id. A guest has two machines while its next one boots next to the current one.
        var machines: [Int32: Machine] = [:]

        /// The total memory of a guest's machines, and whether one of them is up.
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

    /// A watch that updates `admission`. While memory is short it throttles `boots`, so that admitted guests boot one at a time.
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

    /// Watches until cancelled. Calls `makeRoom` while the host is short or guests wait.
    package func run(makeRoom: @Sendable () async -> Void) async {
        while !Task.isCancelled {
            tick()
            if admission.level == .critical || admission.isAwaited { await makeRoom() }
            guard (try? await HostClock.sleep(for: Self.interval)) != nil else { return }
        }
    }

    /// Takes the readings that are due.
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

    /// Stores a reading and returns the guest's number; nil when the machine has ended.
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
