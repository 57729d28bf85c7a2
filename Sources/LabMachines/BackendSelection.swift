import Diagnostics
import HostSystem
import LabEngine
import LabSpec

/// Picks the backend of each guest group: what the lab or the command line says, else the best that this host can do.
public struct BackendSelection: Sendable {
    /// A backend, and why it is this one.
    public struct Choice: Sendable {
        /// What runs the guests.
        public let backend: any MachineBackend
        /// Half a sentence, such as `this host has no usable /dev/kvm`.
        public let reason: String
    }

    private let override: BackendChoice?
    private let probe: KVMProbe
    private let builtIn: Result<MicroVMBackend, Diagnostic>
    private let qemu: Result<QEMUBackend, Diagnostic>

    /// Looks at the host. `override` (`--backend`) outweighs what groups say. Never throws: what is missing is said when a
    /// group asks for it, and what nobody asks for may be missing.
    public init(override: BackendChoice? = nil) {
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

    /// The backend for a group's guests. `hasOutside` says whether a network of theirs has `nat`.
    ///
    /// Throws what this host lacks, or why the guests cannot run on the backend they ask for, with the remedy.
    public func backend(
        for group: GuestGroup, image: ImageFacts, hasOutside: Bool
    ) throws(Diagnostic) -> any MachineBackend {
        try choice(for: group, image: image, hasOutside: hasOutside).backend
    }

    /// The backend for a group's guests and the reason. Throws as `backend` does.
    public func choice(for group: GuestGroup, image: ImageFacts, hasOutside: Bool) throws(Diagnostic) -> Choice {
        let wanted = override ?? group.backend
        let obstacle = MicroVMObstacle(group, image: image, hasOutside: hasOutside)
        switch wanted {
        case .qemu: return Choice(backend: try qemu.get(), reason: "it is asked for")
        case .kvm:
            if var problem = obstacle?.diagnostic(group.name) {
                problem.span = group.span
                throw problem
            }
            return Choice(backend: try usableBuiltIn(), reason: "it is asked for")
        case .auto:
            guard let reason = obstacle.map({ "the guest \($0.reason)" }) ?? hostObstacle(image) else {
                return Choice(backend: try builtIn.get(), reason: "this host's /dev/kvm runs it")
            }
            do throws(Diagnostic) {
                return Choice(backend: try qemu.get(), reason: reason)
            } catch {
                var problem = error
                problem.notes.append("the built-in backend does not serve instead: \(reason)")
                throw problem
            }
        }
    }

    /// The built-in backend for somebody who asked for it. That a kernel comes up on a `/dev/kvm` that interprets it is
    /// their hope, which may be right with another kernel than ours.
    private func usableBuiltIn() throws(Diagnostic) -> MicroVMBackend {
        if case .unavailable(let reason, let remedy) = probe {
            throw Diagnostic(
                .host, "the backend kvm needs /dev/kvm", remedy: "\(remedy); or use `backend: auto`", cause: reason)
        }
        return try builtIn.get()
    }

    /// Why this host is better served by QEMU; nil when it is not.
    private func hostObstacle(_ image: ImageFacts) -> String? {
        switch probe {
        case .unavailable: return "this host has no usable /dev/kvm"
        case .interpreted where image.start != .freestanding:
            return "this host's /dev/kvm interprets kernel-mode code, on which Linux does not come up"
        case .interpreted, .hardware: break
        }
        if case .failure(let problem) = builtIn { return problem.message }
        return nil
    }
}
