import Diagnostics
import LabEngine
import LabSpec

/// Picks the backend of each guest group: what the lab or the command line says, else the best that this host can do.
public struct BackendSelection: Sendable {
    private let override: BackendChoice?
    private let qemu: Result<QEMUBackend, Diagnostic>

    /// Looks at the host. `override` (`--backend`) outweighs what groups say. Never throws: what is missing is said when a
    /// group asks for it.
    public init(override: BackendChoice?) {
        self.override = override
        do {
            qemu = .success(try QEMUBackend())
        } catch let problem as Diagnostic {
            qemu = .failure(problem)
        } catch {
            qemu = .failure(Diagnostic(.host, "QEMU cannot be used", cause: "\(error)"))
        }
    }

    /// The backend for a group's guests. Throws what this host lacks, with its remedy.
    public func backend(for group: GuestGroup) throws(Diagnostic) -> any MachineBackend {
        let choice = override ?? group.backend
        if choice == .kvm, group.nested {
            throw Diagnostic(
                .specification, "\(group.name): the built-in backend has no processors for `nested: true`",
                remedy: "use `backend: auto` or `backend: qemu`", at: group.span)
        }
        switch choice {
        case .auto, .qemu:
            return try qemu.get()
        case .kvm:
            throw Diagnostic(
                .specification, "\(group.name): the built-in backend is not part of this version",
                remedy: "use `backend: auto` or `backend: qemu`", at: group.span)
        }
    }
}
