import Diagnostics
import HostSystem
import LabEngine
import LabSpec

/// Picks the backend of each guest group: what the lab or the command line says, else the best that this host can do.
public struct BackendSelection: Sendable {
    private let override: BackendChoice?
    private let probe: KVMProbe
    private let qemu: Result<QEMUBackend, Diagnostic>
    private let microVM: Result<MicroVMBackend, Diagnostic>

    /// Looks at the host. `override` (`--backend`) outweighs what groups say. Never throws: what is missing is said when a
    /// group asks for it.
    public init(override: BackendChoice?, probe: KVMProbe = KVMProbe.run()) {
        self.override = override
        self.probe = probe
        do throws(Diagnostic) {
            microVM = .success(try MicroVMBackend(probe: probe))
        } catch {
            microVM = .failure(error)
        }
        do {
            qemu = .success(try QEMUBackend(probe: probe))
        } catch let problem as Diagnostic {
            qemu = .failure(problem)
        } catch {
            qemu = .failure(Diagnostic(.host, "QEMU cannot be used", cause: "\(error)"))
        }
    }

    /// The backend for a group's guests. Throws what this host lacks, with its remedy.
    public func backend(for group: GuestGroup, of image: ImageFacts, in lab: Lab) throws(Diagnostic)
        -> any MachineBackend
    {
        let obstacle = obstacle(group, image, lab)
        switch override ?? group.backend {
        case .qemu: return try qemuBackend(for: group, of: image)
        case .kvm:
            if let obstacle {
                throw Diagnostic(
                    .specification, "\(group.name): the built-in backend \(obstacle)",
                    remedy: "use `backend: auto` or `backend: qemu` for this guest", at: group.span)
            }
            return try microVM.get()
        case .auto:
            guard obstacle == nil, Self.prefersBuiltIn(image, probe), let backend = try? microVM.get() else {
                return try qemuBackend(for: group, of: image)
            }
            return backend
        }
    }

    /// Why a group's guests cannot run on the built-in backend, whatever the host; nil when they can.
    private func obstacle(_ group: GuestGroup, _ image: ImageFacts, _ lab: Lab) -> String? {
        if group.nested { return "has no processors for `nested: true`" }
        if !image.hasKernel { return "boots kernels, not firmware or disks" }
        if lab.networks.contains(where: { $0.nat && group.networks.contains($0.name) }) {
            return "has no networks with `nat: true`"
        }
        if group.cpus > 16 { return "gives a guest at most 16 processors" }
        return nil
    }

    private func qemuBackend(for group: GuestGroup, of image: ImageFacts) throws(Diagnostic) -> QEMUBackend {
        if image.isFreestanding {
            throw Diagnostic(
                .specification, "\(group.name): image \(group.image) runs on the built-in backend only",
                remedy: "use `backend: auto` or `backend: kvm`, on a host with /dev/kvm", at: group.span)
        }
        return try qemu.get()
    }

    /// Whether the built-in backend is the best for an image here: a host that interprets the guest's kernel (`KVMProbe`) is
    /// good enough only for guests that are made for it.
    private static func prefersBuiltIn(_ image: ImageFacts, _ probe: KVMProbe) -> Bool {
        switch probe {
        case .hardware: true
        case .interpreted: image.isFreestanding
        case .unavailable: false
        }
    }

    /// Which backend guests of an image get by themselves, and why, in words: for `vmlab doctor`.
    public func explanation(for image: ImageFacts) -> String {
        let monitor: String?
        switch microVM {
        case .success: monitor = nil
        case .failure(let problem): monitor = problem.cause ?? problem.message
        }
        switch (Self.prefersBuiltIn(image, probe), monitor) {
        case (true, nil):
            return image.isFreestanding
                ? "built-in (kvm): a freestanding guest runs on any /dev/kvm" : "built-in (kvm): /dev/kvm is hardware"
        case (_, let reason?): return "\(qemuName): no built-in backend here (\(reason))"
        case (false, nil): return "\(qemuName): /dev/kvm here interprets kernels"
        }
    }

    private var qemuName: String { (try? qemu.get())?.name ?? "none, as QEMU is missing" }
}
