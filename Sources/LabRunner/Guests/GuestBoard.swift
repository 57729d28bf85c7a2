import Diagnostics
import GuestControl
import HostSystem
import LabSpec
import Synchronization

/// The running guests of a lab by name, for scripts that use other guests than their own.
final class GuestBoard: Sendable {
    private let places: Mutex<[String: Completion<LiveGuest>]>

    init(_ names: [String]) {
        places = Mutex(Dictionary(names.map { ($0, Completion()) }, uniquingKeysWith: { first, _ in first }))
    }

    func arrive(_ guest: LiveGuest) { _ = places.withLock { $0[guest.name] }?.fulfil(guest) }

    /// A guest is gone; it may come again.
    func depart(_ name: String) { places.withLock { $0[name] = Completion() } }

    /// The guest of this name, once it is ready. Throws a `Diagnostic` when there is none or the deadline passes.
    func guest(_ name: String, deadline: ContinuousClock.Instant) async throws -> LiveGuest {
        let (place, names) = places.withLock { ($0[name], $0.keys.sorted()) }
        guard let place else {
            throw Diagnostic(
                .specification, "the lab has no guest \(name.quoted())",
                remedy: didYouMean(name, names) ?? "it has \(names.joined(separator: ", "))")
        }
        do {
            return try await withDeadline(deadline) { try await place.wait() }
        } catch is DeadlineExceeded {
            throw Diagnostic(
                .guest, "the guest \(name) is not up", remedy: "give it a task of its own, or give the lab more memory")
        }
    }
}
