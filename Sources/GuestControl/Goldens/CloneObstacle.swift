import Diagnostics
import LabSpec

/// Why guests of a group cannot be cloned.
package enum CloneObstacle: Sendable, Hashable {
    /// It has no shell that could set a name, so its clones would be identical.
    case noShell
    /// The backend of this name cannot save machines.
    case backend(String)

    /// The obstacle for a group on any backend; nil when there is none.
    package init?(isCloneable: Bool) {
        guard !isCloneable else { return nil }
        self = .noShell
    }

    /// The error for a group that demands clones.
    package func diagnostic(_ group: GuestGroup) -> Diagnostic {
        Diagnostic(
            .specification, "\(group.name): its guests cannot be cloned: \(reason(group.image))",
            remedy: "use `boot: cold`, or leave it to `auto`", at: group.span)
    }

    /// A clause that says why.
    func reason(_ image: String) -> String {
        switch self {
        case .noShell: "the image \(image) has no shell to give each clone its name"
        case .backend(let name): "the backend \(name) cannot save machines"
        }
    }
}
