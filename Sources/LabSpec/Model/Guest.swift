import Diagnostics
import Quantities

/// A group of equal guests, one entry of `guests:`.
public struct GuestGroup: Sendable, Hashable {
    /// The key in the file.
    public var name: String
    /// How many; nil when the file gives no count: then there is one guest and it bears the group's name.
    public var count: Int?
    /// A name from the file's `images:` or from the catalog.
    public var image: String
    /// RAM of each guest in bytes; nil takes the image's default.
    public var memory: ByteCount?
    /// vCPUs of each guest, 1 to 64.
    public var cpus = 1
    /// Whether its processors can run guests of their own.
    public var nested = false
    /// Disks beyond the image's own, in order.
    public var disks: [DiskSpec] = []
    /// Names of the networks that each guest joins, in the order of its network cards.
    public var networks: [String] = []
    /// Which backend runs it.
    public var backend = BackendChoice.auto
    /// How it comes up.
    public var boot = BootChoice.auto
    /// Its share of the processors when all want them, 1 to 10000; nil is the usual 100.
    public var cpuWeight: Int?
    /// Its share of the disks' time when all want it, 1 to 10000; nil is the usual 100.
    public var ioWeight: Int?
    /// Words added to the kernel command line.
    public var cmdline: String?
    /// Environment of every task on these guests.
    public var env: [EnvironmentVariable] = []
    /// The default shell of tasks; nil for the guest's own shell.
    public var shell: String?
    /// Where it is declared.
    public var span: SourceSpan?
    /// Where each of `disks` is written, for errors found when the files are looked at.
    public var diskSpans: [SourceSpan] = []

    /// The guests of the group: `name` itself without a count, `name-1` … `name-N` with one.
    public var guests: [Guest] {
        guard let count else { return [Guest(name: name, group: name, index: 1)] }
        return (1...max(count, 1)).prefix(count).map { Guest(name: "\(name)-\($0)", group: name, index: $0) }
    }
}

extension GuestGroup {
    /// A group with defaults for everything else.
    public init(_ name: String, count: Int? = nil, image: String = "") {
        self.init(name: name, count: count, image: image)
    }
}

/// One guest of a group.
public struct Guest: Sendable, Hashable {
    /// Unique in the lab, and the guest's host name.
    public var name: String
    /// Its group.
    public var group: String
    /// Its place in the group, from 1.
    public var index: Int

    /// A guest as given.
    public init(name: String, group: String, index: Int) {
        self.name = name
        self.group = group
        self.index = index
    }
}

/// Which backend runs a guest.
public enum BackendChoice: String, Sendable, Hashable, CaseIterable {
    /// The best that this host can do.
    case auto
    /// The built-in virtual machine monitor on `/dev/kvm`.
    case kvm
    /// QEMU, with hardware KVM when the host has it, else emulated.
    case qemu
}

/// How a guest comes up.
public enum BootChoice: String, Sendable, Hashable, CaseIterable {
    /// A clone where there is a golden snapshot to clone, else cold.
    case auto
    /// Always from power-on.
    case cold
    /// Always as a clone.
    case clone
}

/// A disk of a guest beyond its image's own.
public enum DiskSpec: Sendable, Hashable {
    /// An empty disk of this size, gone with the guest.
    case scratch(size: ByteCount)
    /// A disk image on the host; the guest writes to an overlay, never to the file. A nil format is detected from its bytes.
    case file(path: String, format: ImageDisk.Format? = nil)
}

/// One environment variable of a task.
public struct EnvironmentVariable: Sendable, Hashable {
    /// Letters, digits and `_`, not starting with a digit.
    public var name: String
    /// Any text without NUL.
    public var value: String

    /// A variable as given.
    public init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}
