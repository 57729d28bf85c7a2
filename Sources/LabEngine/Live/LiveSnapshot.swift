import HostSystem
import LabSpec

/// A guest at one moment, kept for any number of others to go on from. Its files go when nobody holds it any more, clones of
/// its included, or with the run.
public final class LiveSnapshot: Sendable {
    /// The guest that was saved.
    public let planned: RunPlan.PlannedGuest
    let machine: SavedMachine
    let image: BootableImage
    /// Its number in the run.
    let number: Int
    /// The names that were in its `/etc/hosts`.
    let knownHosts: [String]
    private let folder: String

    /// The guest's state in the files of `folder`, which is removed in the end.
    init(of guest: LiveGuest, _ machine: SavedMachine, in folder: String, knownHosts: [String]) {
        planned = guest.planned
        image = guest.image
        number = guest.number
        self.machine = machine
        self.knownHosts = knownHosts
        self.folder = folder
    }

    deinit { try? FileTree.remove(folder) }
}
