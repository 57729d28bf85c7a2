import Diagnostics
import LabSpec

/// Why guests of a group are not cloned.
enum CloneObstacle: Sendable, Hashable {
    /// Nobody could tell its clones apart: it has no shell that would take a name.
    case noShell
    /// It runs guests of its own.
    case nested
    /// The backend of this name does not save its machines.
    case backend(String)

    /// What keeps a group's guests from being cloned, whatever their backend.
    init?(_ group: GuestGroup, isCloneable: Bool) {
        if !isCloneable {
            self = .noShell
        } else if group.nested {
            self = .nested
        } else {
            return nil
        }
    }

    /// The obstacle for somebody who asked for clones all the same.
    func diagnostic(_ group: GuestGroup) -> Diagnostic {
        let reason =
            switch self {
            case .noShell: "the image \(group.image) has no shell that would give each its name"
            case .nested: "a guest with `nested: true` may run guests of its own"
            case .backend(let name): "the backend \(name) does not save its machines"
            }
        return Diagnostic(
            .specification, "\(group.name): its guests cannot be cloned: \(reason)",
            remedy: "use `boot: cold`, or leave it to `auto`", at: group.span)
    }
}
