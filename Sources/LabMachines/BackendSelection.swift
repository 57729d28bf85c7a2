import Diagnostics
import HostSystem
import GuestControl
import LabSpec
import Logging

/// Picks the backend of each guest group: what the lab or the command line says, else the best that this host can do.
package struct BackendSelection: Sendable {
    /// A backend, and why it is this one.
    package struct Choice: Sendable {
        /// What runs the guests.
        package let backend: any MachineBackend
        /// Half a sentence, such as `this host has no usable /dev/kvm`.
        package let reason: String
    }

    private let override: BackendChoice?
    private let probe: KVMProbe
    private let builtIn: Result<MicroVMBackend, Diagnostic>
    private let qemu: Result<QEMUBackend, Diagnostic>

    /// Looks at the host. `override` (`--backend`) outweighs what groups say. Never throws: what is missing is said when a
    /// group asks for it, and what nobody asks for may be missing.
    package init(override: BackendChoice? = nil) {
        let probe = KVMProbe.run()
        self.init(
            override: override, probe: probe, builtIn: Self.found { try MicroVMBackend() },
            qemu: Self.found { try QEMUBackend(probe: probe) })
    }

    /// A selection on a host that has these.
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

    /// The backend for a group's guests.
    ///
    /// Throws what this host lacks, or why the guests cannot run on the backend they ask for, with the remedy.
    package func backend(for group: GuestGroup, of image: ImageFacts) throws(Diagnostic) -> any MachineBackend {
        let choice = try choice(for: group, of: image, obstacle: MicroVMObstacle(group, of: image))
        Logger(label: "vmlab.machines").debug(
            "backend chosen",
            metadata: ["group": "\(group.name)", "backend": "\(choice.backend.name)", "why": "\(choice.reason)"])
        return choice.backend
    }

    /// The backend of a guest of an image that asks for nothing in particular. Throws what this host lacks.
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

    /// The built-in backend for somebody who asked for it. Throws where this host cannot run the image on it.
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

    /// QEMU, unless the guest would miss what it has in the built-in machine only: freestanding guests find disks and
    /// network cards where that puts them, not on a PCI bus.
    private func qemu(for group: GuestGroup, of image: ImageFacts) throws(Diagnostic) -> QEMUBackend {
        if image.isFreestanding, !group.disks.isEmpty || !group.networks.isEmpty {
            throw Diagnostic(
                .specification, "\(group.name): the image \(group.image) has no disks and networks in QEMU",
                remedy: "use `backend: auto` or `backend: kvm`, on a host with /dev/kvm", at: group.span)
        }
        return try qemu.get()
    }

    /// Why this host is better served by QEMU; nil when it is not.
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
