import GuestConsole

extension LiveGuest {
    /// Updates the guest's `/etc/hosts` with peers that have joined or left.
    func updateHosts() async throws {
        let known = knownHosts
        guard known.generation != networks.generation else { return }
        let hosts = networks.hosts(of: number)
        let (former, present) = (Set(known.lines), Set(hosts.lines))
        let script = NetworkScript.names(
            adding: hosts.lines.filter { !former.contains($0) }, removing: known.lines.filter { !present.contains($0) }
        ).joined(separator: "\n")
        if !script.isEmpty {
            _ = try await session.whileAlive { [session, limits] in
                let deadline = limits.deadline(in: limits.timeouts.task)
                return try await session.commands.control(GuestCommand(script), deadline: deadline)
            }
        }
        knows(hosts)
    }
}
