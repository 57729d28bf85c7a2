import HostResources
import HostSystem

/// A guest's network card for the outside, of a machine whose files lie in a folder.
struct OutsideCard: Sendable {
    /// How the machine is given it.
    let attachment: NetworkAttachment

    init(mac: String, in directory: String) {
        attachment = NetworkAttachment(mac: mac, local: "\(directory)/outside", remote: "\(directory)/router")
    }

    /// Runs `body` while the card of guest `name` reaches the outside, and these ports of the host's 127.0.0.1. `onNote` is
    /// told when that ends early.
    ///
    /// Throws a `Diagnostic` when it cannot, and what `body` throws.
    func open<Result: Sendable>(
        of name: String, hostPorts: Set<UInt16>, journal: RunJournal, onNote: @escaping @Sendable (String) -> Void,
        _ body: () async throws -> Result
    ) async throws -> Result {
        try await OutsideLink.with(
            card: attachment.local, mac: attachment.mac, at: attachment.remote, hostPorts: hostPorts,
            started: { child in
                // One that cannot be written down ends with us all the same, as its socket does.
                try? journal.record(
                    .child(guest: name, processID: child.processID, startTime: child.startTime, program: "passt"))
            },
            ended: { onNote("it no longer reaches the outside: passt has ended (\($0))") }, body)
    }
}
