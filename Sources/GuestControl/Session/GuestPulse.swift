import HostSystem
import Synchronization

/// Checks whether a guest is alive after its console reported a panic, which any program with access to the console can fake.
final class GuestPulse: Sendable {
    private let machine: any Machine
    /// When the guest last answered on its command channel; unused where that is also the console.
    private let answered = Mutex<ContinuousClock.Instant?>(nil)

    /// How long earlier output may be in transit.
    private static let transit = Duration.milliseconds(500)
    /// How long the guest is observed.
    private static let watch = Duration.milliseconds(2500)

    init(_ machine: any Machine) { self.machine = machine }

    /// Output was received on the command channel.
    func beat() { answered.withLock { $0 = HostClock.now } }

    /// Observes the guest for three seconds, or until it proves to be alive.
    func goesOn() async -> Bool {
        guard (try? await HostClock.sleep(for: Self.transit)) != nil else { return false }
        let start = HostClock.now
        if await machine.showsLife(within: Self.watch) { return true }
        return answered.withLock { $0.map { $0 > start } ?? false }
    }
}
