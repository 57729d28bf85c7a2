import HostSystem
import LabResults
import LabSpec
import Synchronization

/// Measures what guests hold and what the host has left, and tells admission: what overcommit stands on.
///
/// The host is read at every tick. A guest is read at every tick while it comes up or grows, then ever more rarely: a
/// thousand idle guests cost a reading of a small file every few milliseconds.
final class MemoryWatch: MachineCare {
    /// Between two readings of the host. Memory that is filled at a gigabyte a second has not used up the reserve of a host
    /// of 24 GiB in between.
    static let interval = Duration.milliseconds(500)
    /// The most ticks between two readings of a guest; of one while memory is short.
    private static let longestPause = 32
    private static let pauseWhenShort = 4
    /// A guest that holds so small a part more than before does not grow.
    private static let steadyShare: UInt64 = 32

    private struct Guest {
        var processID: Int32
        var isUp = false
        var held: UInt64 = 0
        var pause = 1
        var nextTick = 0
    }

    private struct State {
        var tick = 0
        var guests: [Int: Guest] = [:]
    }

    private let meter: any MemoryMeter
    private let admission: Admission
    private let boots: Admission
    private let recorder: RunRecorder
    private let state = Mutex(State())

    /// A watch that tells `admission`, and has `boots` of guests that are let in already go one at a time while memory is short.
    init(meter: any MemoryMeter, admission: Admission, boots: Admission, recorder: RunRecorder) {
        self.meter = meter
        self.admission = admission
        self.boots = boots
        self.recorder = recorder
    }

    func started(_ machine: CaredMachine) async {
        state.withLock { $0.guests[machine.number] = Guest(processID: machine.processID, nextTick: $0.tick) }
    }

    func ready(_ machine: CaredMachine) {
        state.withLock { state in
            guard state.guests[machine.number]?.processID == machine.processID else { return }
            state.guests[machine.number]?.isUp = true
            state.guests[machine.number]?.pause = 1
            state.guests[machine.number]?.nextTick = state.tick
        }
    }

    func ended(_ machine: CaredMachine) async {
        state.withLock { state in
            guard state.guests[machine.number]?.processID == machine.processID else { return }
            state.guests[machine.number] = nil
        }
    }

    /// Watches until the task is cancelled. `makeRoom` is called while the host is short or guests wait.
    func run(makeRoom: @Sendable () async -> Void) async {
        while !Task.isCancelled {
            tick()
            if admission.level == .critical || admission.isAwaited { await makeRoom() }
            guard (try? await Task.sleep(for: Self.interval)) != nil else { return }
        }
    }

    /// Reads what is due.
    func tick() {
        let isShort = admission.level > .ample
        let due = state.withLock { state -> [(number: Int, processID: Int32)] in
            state.tick += 1
            return state.guests.filter { _, guest in
                guest.nextTick <= state.tick
                    || (isShort && guest.nextTick - guest.pause + Self.pauseWhenShort <= state.tick)
            }.map { ($0.key, $0.value.processID) }
        }
        for (number, processID) in due {
            guard let held = meter.held(by: processID) else { continue }
            guard let isUp = note(number, processID, holds: held) else { continue }
            admission.measure(number, holds: held, isUp: isUp)
        }
        let host = meter.host()
        if let news = admission.see(host) { tell(host, news.level, reserve: news.reserve) }
    }

    /// Keeps a reading; nil when the machine has gone meanwhile.
    private func note(_ number: Int, _ processID: Int32, holds held: UInt64) -> Bool? {
        state.withLock { state in
            guard var guest = state.guests[number], guest.processID == processID else { return nil }
            let grows = held > guest.held && held - guest.held > guest.held / Self.steadyShare
            guest.pause = grows || !guest.isUp ? 1 : min(guest.pause * 2, Self.longestPause)
            guest.nextTick = state.tick + guest.pause
            guest.held = held
            state.guests[number] = guest
            return guest.isUp
        }
    }

    private func tell(_ host: HostMemory, _ level: MemoryLevel, reserve: ByteCount) {
        boots.spare(level > .ample)
        guard level > .ample else {
            return recorder.emit(.note(level: .info, message: "memory has eased: guests may come again"))
        }
        var reasons: [String] = []
        if host.available < reserve.bytes {
            reasons.append("\(ByteCount(host.available)) are left, and \(reserve) are kept free")
        }
        if let pressure = host.pressure, pressure.some >= 1 {
            reasons.append("tasks of this host waited for memory \(Int(pressure.some.rounded())) % of the time")
        }
        recorder.emit(
            .note(
                level: .warning,
                message: "memory is short: \(reasons.joined(separator: "; ")); new guests wait until it has eased"))
    }
}
