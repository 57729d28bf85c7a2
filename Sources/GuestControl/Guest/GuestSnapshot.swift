import HostSystem
import LabSpec

/// A guest at one moment, kept for any number of others to go on from, and for itself to go back to. Its files are there for
/// as long as anybody holds it, guests that went on from it included.
public final class GuestSnapshot: Sendable {
    /// The guest that was saved.
    public let planned: PlannedGuest
    let machine: SavedMachine
    package let image: BootableImage
    /// The addresses of its network cards, in order.
    let cards: [String]
    /// The names that were in its `/etc/hosts`.
    let knownHosts: [String]
    /// Whether a command waits in its shell of tasks.
    let isPrewarmed: Bool
    /// What keeps the files while it lives.
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

    /// Why a guest with so many network cards cannot go on from here, as a sentence goes on that begins with its name; nil
    /// when it can.
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

/// A folder that goes when nobody holds it any more.
final class OwnedFolder: Sendable {
    let path: String

    init(_ path: String) { self.path = path }

    deinit {
        // Gigabytes, on whatever thread let go of them last.
        let isOnItsWay = (try? HostThread("vmlab-remove") { [path] in try? FileTree.remove(path) }) != nil
        if !isOnItsWay { try? FileTree.remove(path) }
    }
}
