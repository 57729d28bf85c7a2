import Diagnostics
import LabSpec

/// Why guests of a group are not cloned.
package enum CloneObstacle: Sendable, Hashable {
    /// Nobody could tell its clones apart: it has no shell that would take a name.
    case noShell
    /// The backend of this name cannot save machines.
    case backend(String)

    /// What keeps a group's guests from being cloned, whatever their backend.
    package init?(isCloneable: Bool) {
        guard !isCloneable else { return nil }
        self = .noShell
    }

    /// The obstacle for somebody who asked for clones all the same.
    package func diagnostic(_ group: GuestGroup) -> Diagnostic {
        let reason =
            switch self {
            case .noShell: "the image \(group.image) has no shell to give each clone its name"
            case .backend(let name): "the backend \(name) cannot save machines"
            }
        return Diagnostic(
            .specification, "\(group.name): its guests cannot be cloned: \(reason)",
            remedy: "use `boot: cold`, or leave it to `auto`", at: group.span)
    }
}
