import HostSystem
import LabSpec

/// Does in a guest what makes one image of another. LabImages runs no labs: who composes it with the engine provides this.
package protocol ImageSetup: Sendable {
    /// Boots a guest of `image`, whose root disk is written to, adds what the layer says, and powers it off in order. What it
    /// printed is kept in `logs`, a folder that is not there yet; `access` is what its files may be. Returns the end of what its
    /// `setup` printed. Throws a `Diagnostic` that shows the end of what failed, and `CancellationError`.
    func add(
        _ layer: ImageLayer, to image: BootableImage, access: HostAccess, logs: String,
        progress: @escaping ImageProgress
    ) async throws -> String
}

extension BootableImage {
    /// The place among its disks of the one that its guests write to.
    var rootDisk: Int? {
        disks.firstIndex { ["vmlab-root", DeclaredImage.diskSerial].contains($0.serial) && !$0.readOnly }
    }

    /// This image with another root disk.
    func with(root path: String, isBeingMade: Bool = false) -> BootableImage {
        var image = self
        if let place = rootDisk {
            image.disks[place].path = path
            image.disks[place].format = .qcow2
            image.disks[place].isBeingMade = isBeingMade
        }
        return image
    }
}
