import Diagnostics
import HostSystem
import GuestControl
import LabSpec
import Logging

/// Chooses the backend of each guest group: the one asked for, else the best that this host supports.
package struct BackendSelection: Sendable {
    /// A backend and the reason for it.
    package struct Choice: Sendable {
        package let backend: any MachineBackend
        /// Half a sentence, such as `this host has no usable /dev/kvm`.
        package let reason: String
    }

    private let override: BackendChoice?
    private let probe: KVMProbe
    private let builtIn: Result<MicroVMBackend, Diagnostic>
    private let qemu: Result<QEMUBackend, Diagnostic>

    /// Probes the host. `override` (`--backend`) takes precedence over the groups. Never throws: a missing backend is an error
    /// only when a group needs it.
    package init(override: BackendChoice? = nil) {
        let probe = KVMProbe.run()
        self.init(
            override: override, probe: probe, builtIn: Self.found { try MicroVMBackend() },
            qemu: Self.found { try QEMUBackend(probe: probe) })
    }

    /// A selection with these backends available.
    init(
        override: BackendChoice?, probe: KVMProbe, builtIn: Result<MicroVMBackend, Diagnostic>,
        qemu: Result<QEMUBackend, Diagnostic>
    ) {
        self.override = override
        self.probe = probe
        self.builtIn = builtIn
        self.qemu = qemu
    }

    private static func found<Backend>(_ body: () throws -> Backend) -> Result<Backend, Diagnostic> {
        Result(catching: body).mapError { error in
            error as? Diagnostic ?? Diagnostic(.host, "a backend cannot be used", cause: "\(error)")
        }
    }

    /// The backend for a group's guests. Throws what this host lacks, or why the requested backend cannot run the guests, with the
    /// remedy.
    package func backend(for group: GuestGroup, of image: ImageFacts) throws(Diagnostic) -> any MachineBackend {
        let choice = try choice(for: group, of: image, obstacle: MicroVMObstacle(group, of: image))
        Logger(label: "vmlab.machines").debug(
            "backend chosen",
            metadata: ["group": "\(group.name)", "backend": "\(choice.backend.name)", "why": "\(choice.reason)"])
        return choice.backend
    }

    /// The backend for an image without special demands. Throws what this host lacks.
    package func choice(for image: ImageFacts) throws(Diagnostic) -> Choice {
        try choice(for: GuestGroup("a guest"), of: image, obstacle: nil)
    }

    func choice(
        for group: GuestGroup, of image: ImageFacts, obstacle: MicroVMObstacle?
    ) throws(Diagnostic) -> Choice {
        switch override ?? group.backend {
        case .qemu: return Choice(backend: try qemu(for: group, of: image), reason: "as requested")
        case .kvm:
            if let obstacle { throw obstacle.diagnostic(group.name, at: group.span) }
            return Choice(backend: try usableBuiltIn(for: group, of: image), reason: "as requested")
        case .auto:
            guard let reason = obstacle.map({ "the built-in backend \($0.reason)" }) ?? hostObstacle(image) else {
                let reason =
                    image.isFreestanding
                    ? "a unikernel runs on any /dev/kvm" : "this host's /dev/kvm is hardware"
                return Choice(backend: try builtIn.get(), reason: reason)
            }
            do throws(Diagnostic) {
                return Choice(backend: try qemu(for: group, of: image), reason: reason)
            } catch {
                var problem = error
                problem.notes.append("the built-in backend cannot be used instead: \(reason)")
                throw problem
            }
        }
    }

    /// The built-in backend for a group that asks for it. Throws when it cannot run the image on this host.
    private func usableBuiltIn(for group: GuestGroup, of image: ImageFacts) throws(Diagnostic) -> MicroVMBackend {
        switch probe {
        case .hardware: break
        case .interpreted:
            if image.isFreestanding { break }
            throw Diagnostic(
                .host, "\(group.name): the built-in backend cannot run the image \(group.image) on this host",
                remedy: "use `backend: auto` or `backend: qemu`, which emulates it; \(probe.remedy ?? "")",
                cause: probe.description, at: group.span)
        case .unavailable(_, let remedy):
            throw Diagnostic(
                .host, "the built-in backend needs /dev/kvm", remedy: "\(remedy); or use `backend: qemu`",
                cause: probe.description)
        }
        return try builtIn.get()
    }

    /// QEMU, unless the guest needs the built-in machine: bare-metal guests expect disks and network cards at its addresses,
    /// not on a PCI bus.
    private func qemu(for group: GuestGroup, of image: ImageFacts) throws(Diagnostic) -> QEMUBackend {
        if image.isFreestanding, !group.disks.isEmpty || !group.networks.isEmpty {
            throw Diagnostic(
                .specification, "\(group.name): the image \(group.image) has no disks and networks in QEMU",
                remedy: "use `backend: auto` or `backend: kvm`, on a host with /dev/kvm", at: group.span)
        }
        return try qemu.get()
    }

    /// Why QEMU is the better choice on this host; nil when it is not.
    private func hostObstacle(_ image: ImageFacts) -> String? {
        switch probe {
        case .unavailable: return "this host has no usable /dev/kvm"
        case .interpreted where !image.isFreestanding:
            return "/dev/kvm here interprets kernel code, and Linux does not run on it"
        case .interpreted, .hardware: break
        }
        if case .failure(let problem) = builtIn { return problem.message }
        return nil
    }
}
