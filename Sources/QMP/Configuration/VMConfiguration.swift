/// A machine's configuration: the one input of `vmlab-vmm`, as JSON or from its command line.
package struct VMConfiguration: Sendable, Hashable {
    /// The host's end of a byte stream of the machine.
    package enum Endpoint: Sendable, Hashable {
        /// Nowhere: output is dropped.
        case none
        /// Standard input and output. A terminal is in raw mode for the life of the machine.
        case terminal
        /// A connected stream socket that was inherited under this number.
        case descriptor(Int32)
        /// A unix socket that the machine listens on at this path, for one client after the other.
        case socket(String)
    }

    package struct Disk: Sendable, Hashable {
        /// A raw image, or a block device.
        package var path: String
        /// The guest finds it by this: at most 20 printable ASCII characters.
        package var serial: String
        package var readOnly: Bool
        /// A file that takes what the guest writes, so that `path` is only read; nil writes to `path` itself.
        package var overlay: String?

        package init(path: String, serial: String = "", readOnly: Bool = false, overlay: String? = nil) {
            self.path = path
            self.serial = serial
            self.readOnly = readOnly
            self.overlay = overlay
        }
    }

    package struct Network: Sendable, Hashable {
        package enum Link: Sendable, Hashable {
            /// Each frame is a datagram between these two unix sockets: `local` is made by the machine, `remote` is there.
            case sockets(local: String, remote: String)
            /// A TAP interface of the host that this user may open.
            case tap(String)
        }

        /// The card's address, such as `52:54:00:12:34:56`.
        package var mac: String
        package var link: Link

        package init(mac: String, link: Link) {
            self.mac = mac
            self.link = link
        }
    }

    /// The machine's name, for messages and `query-name`.
    package var name: String
    /// Linux kernel (bzImage or vmlinux) or another ELF file with an entry for it.
    package var kernel: String
    package var initrd: String?
    /// The whole kernel command line.
    package var cmdline: String
    /// RAM in bytes, a multiple of 4096 in `memoryRange`.
    package var memory: UInt64
    /// vCPUs, 1 to 16.
    package var cpus: Int
    package var com1: Endpoint
    package var com2: Endpoint
    /// The QMP endpoint; not the terminal.
    package var monitor: Endpoint
    /// Disks in the order the guest finds them.
    package var disks: [Disk]
    /// Network cards in the order the guest finds them.
    package var networks: [Network]
    /// A descriptor for one line per byte written to debug port 0x402: the byte, the host's monotonic clock in nanoseconds, and the
    /// number of vCPU exits; nil for none.
    package var debugLog: Int32?
    /// A folder in which `snapshot-save` may save the machine; nil for none.
    package var snapshots: String?
    /// The snapshot that the machine will become: its memory is kept in that file from the start; nil for none.
    package var golden: String?
    /// The snapshot that the machine continues from instead of booting; nil boots.
    package var restore: String?
    /// Whether the process gives up what it does not need (seccomp, landlock) before the guest runs.
    package var sandbox: Bool

    /// The default RAM.
    package static let usualMemory: UInt64 = 256 << 20
    /// How much RAM a machine can have, in bytes: 32 MiB to 1 TiB.
    package static let memoryRange = UInt64(32 << 20)...(1 << 40)
    package static let cpuRange = 1...16
    /// How long a disk's serial may be, in bytes (virtio 1.2, 5.2.6).
    package static let serialLimit = 20

    /// A machine as given; vmlab-vmm checks it.
    package init(
        name: String = "vm", kernel: String, initrd: String? = nil, cmdline: String = "", memory: UInt64 = usualMemory,
        cpus: Int = 1, com1: Endpoint = .none, com2: Endpoint = .none, monitor: Endpoint = .none, disks: [Disk] = [],
        networks: [Network] = [], debugLog: Int32? = nil, snapshots: String? = nil, golden: String? = nil,
        restore: String? = nil, sandbox: Bool = true
    ) {
        self.name = name
        self.kernel = kernel
        self.initrd = initrd
        self.cmdline = cmdline
        self.memory = memory
        self.cpus = cpus
        self.com1 = com1
        self.com2 = com2
        self.monitor = monitor
        self.disks = disks
        self.networks = networks
        self.debugLog = debugLog
        self.snapshots = snapshots
        self.golden = golden
        self.restore = restore
        self.sandbox = sandbox
    }
}
