import HostSystem
import Synchronization

/// Whether a guest goes on, though its console says that its kernel has panicked: any program that may write to the console can
/// say that.
final class GuestPulse: Sendable {
    private let machine: any Machine
    /// When the guest last answered on its command channel, where that is no part of the console.
    private let answered = Mutex<ContinuousClock.Instant?>(nil)

    /// How long what was said before may be on its way.
    private static let transit = Duration.milliseconds(500)
    /// How long the guest is watched.
    private static let watch = Duration.milliseconds(2500)

    init(_ machine: any Machine) { self.machine = machine }

    /// The guest has said something on its command channel.
    func beat() { answered.withLock { $0 = HostClock.now } }

    /// Watches the guest for three seconds, or until it shows that it goes on.
    func goesOn() async -> Bool {
        guard (try? await HostClock.sleep(for: Self.transit)) != nil else { return false }
        let start = HostClock.now
        if await machine.showsLife(within: Self.watch) { return true }
        return answered.withLock { $0.map { $0 > start } ?? false }
    }
}
