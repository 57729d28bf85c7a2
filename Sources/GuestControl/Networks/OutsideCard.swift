import HostResources
import HostSystem

/// A guest's network card for the outside; its sockets are in the machine's folder.
struct OutsideCard: Sendable {
    /// The card as attached to the machine.
    let attachment: NetworkAttachment

    init(mac: String, in directory: String) {
        attachment = NetworkAttachment(mac: mac, local: "\(directory)/outside", remote: "\(directory)/router")
    }

    /// Runs `body` while the card of guest `name` has access to the outside, and to these ports of the host's 127.0.0.1. `onNote`
    /// reports when the access ends early. Throws a `Diagnostic` when there is no access, and errors of `body`.
    func open<Result: Sendable>(
        of name: String, hostPorts: Set<UInt16>, journal: RunJournal, onNote: @escaping @Sendable (String) -> Void,
        _ body: () async throws -> Result
    ) async throws -> Result {
        try await OutsideLink.with(
            card: attachment.local, mac: attachment.mac, at: attachment.remote, hostPorts: hostPorts,
            started: { child in
                // A child that cannot be recorded still ends with us, as its socket does.
                try? journal.record(
                    .child(guest: name, processID: child.processID, startTime: child.startTime, program: "passt"))
            },
            ended: { onNote("it no longer reaches the outside: passt has ended (\($0))") }, body)
    }
}
