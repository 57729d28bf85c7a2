import Diagnostics
import Patterns
import Quantities

/// The kind of system in a guest.
public enum GuestOS: String, Sendable, Hashable, CaseIterable {
    case linux, windows
}

/// An image declared under `images:` in a lab file, before its files are checked.
public struct ImageDeclaration: Sendable, Hashable {
    /// The key in the file.
    public var name: String
    /// The image that it is made from, of the catalog or of the lab; it supplies what is not set here.
    public var from: String?
    /// How a whole Debian begins its services; nil takes that of `from`.
    public var start: InitSystem?
    /// Debian packages that are installed in it, with what they depend on.
    public var packages: [String] = []
    /// Host files and folders that are copied into it.
    public var files: [FileCopy] = []
    /// What is run in a guest of it once, for the guest's own shell, as its administrator.
    public var setup: String?
    /// What is run in each clone once it is a guest of its own, for the guest's own shell, as its administrator.
    public var onClone: String?
    /// The size of its root disk; nil takes that of `from`.
    public var size: ByteCount?
    /// The image of the catalog whose kernel it boots; nil takes that of `from`.
    public var kernelOf: String?
    /// The kind of system; nil takes that of `from`.
    public var os: GuestOS?
    /// Linux kernel (bzImage or vmlinux) on the host, absolute.
    public var kernel: String?
    /// Initial RAM disk on the host, absolute.
    public var initrd: String?
    /// Kernel modules on the host that are loaded once the guest is ready, in order, absolute.
    public var modules: [String] = []
    /// System disk on the host, absolute; never written to.
    public var disk: String?
    /// Where the system disk is fetched from, instead of one on the host.
    public var download: DiskDownload?
    /// How the disk is laid out; nil lets its bytes tell.
    public var diskFormat: ImageDisk.Format?
    /// Kernel command line words; with `from`, added to its own.
    public var cmdline: String?
    /// Firmware file on the host, absolute, such as OVMF for a disk that boots by UEFI; nil lets the disk tell.
    public var firmware: String?
    /// Whether vmlab installs its agent in a disk that has none; nil does so where it can.
    public var agent: Bool?
    /// What a disk with cloud-init is told at its first boot; nil when it is not asked for.
    public var cloudInit: CloudInit?
    /// How to talk to it; nil takes that of `from`, or the usual one of `os`.
    public var console: ConsoleSpec?
    /// Default RAM; nil takes that of `from`, or 512 MiB.
    public var memory: ByteCount?
    /// Where it is declared.
    public var span: SourceSpan?
    /// Where each key's value is written, for errors found when the files are looked at.
    public var keySpans: [String: SourceSpan] = [:]
}

/// A disk that is fetched once and kept.
public struct DiskDownload: Sendable, Hashable {
    /// An `https://` address.
    public var url: String
    /// The SHA-256 of the file, 64 hexadecimal digits in lower case.
    public var sha256: String

    /// A download as given.
    public init(url: String, sha256: String) {
        (self.url, self.sha256) = (url, sha256)
    }
}

/// What a guest's cloud-init does at its first boot, by a NoCloud seed.
public struct CloudInit: Sendable, Hashable {
    /// The user to make or to change; nil for none.
    public var user: String?
    /// The user's password, in clear; nil for none.
    public var password: String?
    /// The user's keys for SSH, a line each.
    public var keys: [String]
    /// Commands for the guest's shell, as root, at the end of that boot.
    public var commands: [String]

    /// What is given.
    public init(user: String? = nil, password: String? = nil, keys: [String] = [], commands: [String] = []) {
        (self.user, self.password, self.keys, self.commands) = (user, password, keys, commands)
    }
}

/// How a whole Debian begins its services.
public enum InitSystem: String, Sendable, Hashable, CaseIterable {
    /// vmlab's own: a shell within seconds, and no services.
    case small
    /// systemd, with its journal and services.
    case systemd
}

/// How commands reach a guest.
public struct ConsoleSpec: Sendable, Hashable {
    /// The dialects that guests speak.
    public enum Dialect: String, Sendable, Hashable, CaseIterable {
        /// A POSIX shell.
        case sh
        /// cmd.exe behind vmlab's relay.
        case cmd
        /// Windows' Special Administration Console on COM1.
        case sac
        /// The UEFI shell.
        case uefi
    }

    /// The shell's language.
    public var dialect: Dialect
    /// Whether the guest says `VMLAB READY` on COM2 (our own images); else the console is found by its prompts.
    public var announces: Bool
    /// 1 when commands share the kernel's console, 2 when they have COM2 to themselves.
    public var ports: Int
    /// A regular expression for the shell's prompt, for guests that do not announce themselves.
    public var prompt: String?
    /// Answers to what the guest asks before its shell is ready, such as menus.
    public var reactions: [ConsoleReaction]
    /// User name, for guests that ask.
    public var user: String?
    /// Password, for guests that ask.
    public var password: String?

    /// Whether there is a shell behind it that can give a clone its identity.
    public var isCloneable: Bool { announces || dialect == .sh }

    /// A console as given; by default that of our own Linux images.
    public init(
        dialect: Dialect = .sh, announces: Bool = true, ports: Int = 2, prompt: String? = nil, user: String? = nil,
        password: String? = nil, reactions: [ConsoleReaction] = []
    ) {
        self.reactions = reactions
        self.dialect = dialect
        self.announces = announces
        self.ports = ports
        self.prompt = prompt
        self.user = user
        self.password = password
    }
}

/// A reply to a guest's output during boot, before its shell.
public struct ConsoleReaction: Sendable, Hashable {
    /// The pattern, matched anywhere in the output since the last reply.
    public var expect: Pattern
    /// The reply, line ends included.
    public var send: String
    /// How many times at most.
    public var times = 1
}

/// An image as files on this host, ready to boot: what the catalog and the lab's declarations come to.
public struct BootableImage: Sendable, Hashable {
    /// The catalog's or the lab's name.
    public var name: String
    /// A hash of its contents: equal ids boot equally.
    public var id: String
    /// The kind of system.
    public var os: GuestOS
    /// Linux kernel (bzImage or vmlinux), absolute; nil when the disk boots itself.
    public var kernel: String?
    /// Initial RAM disk, absolute.
    public var initrd: String?
    /// Kernel modules that a guest is given at its ready point, in order, absolute.
    public var modules: [String]
    /// Disks of the image, in order; never written to.
    public var disks: [ImageDisk]
    /// Firmware, absolute.
    public var firmware: String?
    /// Kernel command line.
    public var cmdline: String
    /// How to talk to it.
    public var console: ConsoleSpec
    /// The default RAM.
    public var defaultMemory: ByteCount
    /// RAM below which it is known not to boot.
    public var minimumMemory: ByteCount
    /// Whether its kernel is a program of its own rather than an operating system's: it runs where those cannot, and
    /// knows no kernel modules, files or addresses.
    public var isFreestanding: Bool
    /// What keeps its files on the host.
    public var hold: Hold

    /// How its guests go down by themselves.
    public var shutdown: ShutdownCommands

    /// Whether its guests get files by a disk that they share with the host.
    public var hasExchangeDisk: Bool { console.announces }

    /// Why vmlab's agent could not be installed in it; nil where it was, or was not to be.
    public var agentObstacle: String?
    /// What each clone runs before its first task, in order: its base's, then its own. It makes no other image, so the id does
    /// not depend on it.
    public var onClone: [String] = []
    /// Why none of its guests can boot; nil when nothing is known.
    public var bootObstacle: BootObstacle?
    /// SMBIOS strings (type 11) that its guests find, as systemd's credentials.
    public var strings: [String] = []

    /// Whether its guests can be told apart once they are clones of one: it has a shell that gives them names.
    public var isCloneable: Bool { console.isCloneable && !isFreestanding }

    /// An image as given.
    public init(
        name: String, id: String, os: GuestOS, kernel: String?, initrd: String? = nil, modules: [String] = [],
        disks: [ImageDisk] = [], firmware: String? = nil, cmdline: String = "", console: ConsoleSpec = ConsoleSpec(),
        defaultMemory: ByteCount = .mebibytes(256), minimumMemory: ByteCount = .mebibytes(64),
        isFreestanding: Bool = false, hold: Hold = Hold(), shutdown: ShutdownCommands = ShutdownCommands()
    ) {
        self.shutdown = shutdown
        self.name = name
        self.id = id
        self.os = os
        self.kernel = kernel
        self.initrd = initrd
        self.modules = modules
        self.disks = disks
        self.firmware = firmware
        self.cmdline = cmdline
        self.console = console
        self.defaultMemory = defaultMemory
        self.minimumMemory = minimumMemory
        self.isFreestanding = isFreestanding
        self.hold = hold
    }
}

/// What is known beforehand to keep the guests of an image from booting.
public struct BootObstacle: Sendable, Hashable {
    /// What it is, as a sentence without a period.
    public var reason: String
    /// What to do about it.
    public var remedy: String

    /// An obstacle as given.
    public init(_ reason: String, remedy: String) {
        (self.reason, self.remedy) = (reason, remedy)
    }
}

/// What planning needs to know of an image before it is built.
public struct ImageFacts: Sendable, Hashable {
    /// The kind of system.
    public var os: GuestOS
    /// The default RAM.
    public var defaultMemory: ByteCount
    /// RAM below which it is known not to boot.
    public var minimumMemory: ByteCount
    /// Whether its kernel is a program of its own rather than an operating system's.
    public var isFreestanding: Bool
    /// Whether it boots a kernel of its own, without firmware.
    public var hasKernel: Bool
    /// See `BootableImage.isCloneable`.
    public var isCloneable: Bool

    /// Facts as given.
    public init(
        os: GuestOS, defaultMemory: ByteCount, minimumMemory: ByteCount, isFreestanding: Bool = false,
        hasKernel: Bool = true, isCloneable: Bool = true
    ) {
        self.os = os
        self.defaultMemory = defaultMemory
        self.minimumMemory = minimumMemory
        self.isFreestanding = isFreestanding
        self.hasKernel = hasKernel
        self.isCloneable = isCloneable
    }
}

/// A disk file of an image.
public struct ImageDisk: Sendable, Hashable {
    /// How the file is laid out.
    public enum Format: String, Sendable, Hashable, CaseIterable, Codable {
        case raw, qcow2, vmdk, vdi, vhd, vhdx, qed, parallels, iso

        /// The name of QEMU's driver for it.
        public var driver: String {
            switch self {
            case .vhd: "vpc"
            case .iso: "raw"
            default: rawValue
            }
        }
    }

    /// Absolute path.
    public var path: String
    /// Its layout.
    public var format: Format
    /// The virtio serial by which the guest finds it, at most 20 characters.
    public var serial: String
    /// Whether the guest only reads it; else it gets an overlay to write to.
    public var readOnly: Bool
    /// Whether the guest writes to the file itself: that of an image which is being made. Only for qcow2 on QEMU.
    public var isBeingMade = false

    /// A disk as given.
    public init(path: String, format: Format, serial: String, readOnly: Bool) {
        self.path = path
        self.format = format
        self.serial = serial
        self.readOnly = readOnly
    }
}
