import HostSystem
import LabSpec

/// A guest's saved state, from which any number of guests can be cloned, and to which the guest itself can be restored. The
/// files stay as long as the snapshot is referenced, also by guests restored from it.
public final class GuestSnapshot: Sendable {
    /// The saved guest.
    public let planned: PlannedGuest
    let machine: SavedMachine
    package let image: BootableImage
    /// The MAC addresses of its network cards, in order.
    let cards: [String]
    /// The entries of its `/etc/hosts`.
    let knownHosts: [String]
    /// Whether its task shell has a prewarmed command.
    let isPrewarmed: Bool
    /// Keeps the files while it is referenced.
    let files: any Sendable

    init(
        of planned: PlannedGuest, _ machine: SavedMachine, image: BootableImage, cards: [String],
        knownHosts: [String] = [], isPrewarmed: Bool = false, files: any Sendable
    ) {
        self.planned = planned
        self.machine = machine
        self.image = image
        self.cards = cards
        self.knownHosts = knownHosts
        self.isPrewarmed = isPrewarmed
        self.files = files
    }

    /// Whether a guest of this name that is restored from it is another than the saved one. A golden is none of the run's guests.
    func isCloned(as name: String) -> Bool { files is any KeptGolden || name != planned.guest.name }

    /// Why a guest with this many network cards cannot be restored from this snapshot; completes a sentence that begins with
    /// its name. Nil when it can.
    func obstacle(for guest: PlannedGuest, cards: Int) -> String? {
        let (mine, its) = (planned.group, guest.group)
        if its.image != mine.image { return "is of image \(its.image), the snapshot of \(mine.image)" }
        if guest.memory != planned.memory { return "has \(guest.memory) of memory, the snapshot \(planned.memory)" }
        if its.cpus != mine.cpus { return "has \(its.cpus) processors, the snapshot \(mine.cpus)" }
        if its.disks != mine.disks { return "has other disks than the snapshot" }
        if its.nested != mine.nested { return "has other processors than the snapshot: `nested`" }
        if its.networks.count != mine.networks.count || cards != self.cards.count {
            return "has another number of networks than the snapshot"
        }
        if guest.backend.name != planned.backend.name {
            return "runs on \(guest.backend.name), the snapshot on \(planned.backend.name)"
        }
        return nil
    }
}

/// A folder that is removed with its last reference.
final class OwnedFolder: Sendable {
    let path: String

    init(_ path: String) { self.path = path }

    deinit {
        // Removing gigabytes must not block the thread that drops the last reference.
        let isOnItsWay = (try? HostThread("vmlab-remove") { [path] in try? FileTree.remove(path) }) != nil
        if !isOnItsWay { try? FileTree.remove(path) }
    }
}
