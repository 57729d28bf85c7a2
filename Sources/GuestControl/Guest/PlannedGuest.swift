import GuestConsole
import HostResources
import LabResults
import LabSpec
import Quantities

/// One guest as it will be started.
public struct PlannedGuest: Sendable {
    /// The guest.
    public var guest: Guest
    /// Its group's declaration.
    public var group: GuestGroup
    /// Linux or Windows-like.
    public var os: GuestOS
    /// RAM.
    public var memory: ByteCount
    /// What it costs the host: RAM and the machine's overhead.
    public var cost: ByteCount
    /// What it is reckoned at under overcommit until guests of its group have been measured.
    public var start: ByteCount
    /// What runs it.
    public var backend: any MachineBackend

    package init(
        guest: Guest, group: GuestGroup, os: GuestOS, memory: ByteCount, cost: ByteCount, start: ByteCount,
        backend: any MachineBackend
    ) {
        self.guest = guest
        self.group = group
        self.os = os
        self.memory = memory
        self.cost = cost
        self.start = start
        self.backend = backend
    }

    /// What a run's events say of it.
    public var description: GuestDescription {
        GuestDescription(
            name: guest.name, group: guest.group, image: group.image, os: os.rawValue, memory: memory.bytes,
            cpus: group.cpus, backend: backend.name)
    }

    /// What runs a script of its tasks that names a shell, or none.
    public func shell(_ name: String?) -> ScriptShell {
        name.map { .named($0) } ?? group.shell.map { .firstLine(orNamed: $0) } ?? .standard
    }

    /// What it is reckoned at when it asks for room.
    package func reckoned(_ admission: AdmissionMode) -> ByteCount { admission == .strict ? cost : min(start, cost) }

    /// What it asks of admission, as guest `number` of its run.
    package func claim(_ number: Int) -> Claim {
        Claim(guest: number, group: group.name, nominal: cost, start: start)
    }
}
