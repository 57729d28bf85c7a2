import GuestConsole
import HostResources
import LabResults
import LabSpec
import Quantities

/// One guest of a plan.
public struct PlannedGuest: Sendable {
    /// The guest.
    public var guest: Guest
    /// Its group's declaration.
    public var group: GuestGroup
    /// Linux or Windows-like.
    public var os: GuestOS
    /// RAM.
    public var memory: ByteCount
    /// Its host memory: RAM plus the machine's overhead.
    public var cost: ByteCount
    /// Its charge under overcommit until guests of its group have been measured.
    public var start: ByteCount
    /// The backend that runs it.
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

    /// Its description in events.
    public var description: GuestDescription {
        GuestDescription(
            name: guest.name, group: guest.group, image: group.image, os: os.rawValue, memory: memory.bytes,
            cpus: group.cpus, backend: backend.name)
    }

    /// The shell for a task's script; `name` is the one that the task names, if any.
    public func shell(_ name: String?) -> ScriptShell {
        name.map { .named($0) } ?? group.shell.map { .firstLine(orNamed: $0) } ?? .standard
    }

    /// Its initial charge.
    package func reckoned(_ admission: AdmissionMode) -> ByteCount { admission == .strict ? cost : min(start, cost) }

    /// Its claim as guest `number` of the run.
    package func claim(_ number: Int) -> Claim {
        Claim(guest: number, group: group.name, nominal: cost, start: start)
    }
}
