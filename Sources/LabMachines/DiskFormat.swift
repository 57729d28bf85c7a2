import HostSystem
import LabSpec

/// How a disk file is laid out, from its first bytes.
enum DiskFormat {
    /// qcow2 by its magic `QFI\xfb`, anything else is raw. A file that cannot be read counts as raw: who opens it will
    /// name it.
    static func of(_ path: String) -> ImageDisk.Format {
        let magic = (try? SmallFile.bytes(path, limit: 4)) ?? []
        return magic == [0x51, 0x46, 0x49, 0xfb] ? .qcow2 : .raw
    }
}
