import HostSystem
import Diagnostics
import GuestConsole
import LabSpec
import Quantities

/// Starts machines: the interface between the engine and the virtualization (QEMU, the built-in monitor, a test's script).
public protocol MachineBackend: Sendable {
    /// Short name for results, such as `qemu-tcg`, `qemu-kvm` or `kvm`.
    var name: String { get }

    /// Host memory of a machine beyond its guest's RAM, as measured for this backend.
    func overhead(memory: ByteCount, cpus: Int) -> ByteCount

    /// What a saved machine of this configuration depends on beyond the image and the guest's shape: the program, its
    /// arguments, the host's CPU. Machines with equal fingerprints can be restored from each other's states. Nil when this
    /// backend cannot save such a machine.
    func fingerprint(of configuration: MachineConfiguration) -> String?

    /// Starts a machine; it is running when this returns. Throws a `Diagnostic` with the host's problem and its remedy. A guest
    /// that fails to boot is not an error here. After an error or cancellation nothing of the machine is left.
    func start(_ configuration: MachineConfiguration) async throws -> any Machine
}

/// The configuration of a machine. Paths are absolute.
public struct MachineConfiguration: Sendable {
    /// The guest's name: its host name, and part of file names.
    public var name: String
    /// The image to boot.
    public var image: BootableImage
    /// RAM.
    public var memory: ByteCount
    /// vCPUs.
    public var cpus: Int
    /// Whether the vCPUs can run guests of their own.
    public var nested: Bool
    /// Disks in addition to the image's own, in order.
    public var disks: [DiskSpec]
    /// The exchange disk, a sparse raw file that the engine made in `directory`; nil for none.
    public var exchangeDisk: String?
    /// Network cards in order.
    public var networks: [NetworkAttachment]
    /// The complete kernel command line.
    public var cmdline: String
    /// The machine's folder for sockets, overlays and logs; it exists, has a short path, and is removed after the machine.
    public var directory: String
    /// The folder that the machine is saved to before it ends, such as a golden's: its memory is a file there from the start,
    /// so that `save(to:)` need not copy it. Nil for a machine that may be saved anywhere and is resumed.
    public var goldenFolder: String?
    /// The state to restore; nil to power on. The rest must be as in the saved machine, except for the name, the kernel words,
    /// the exchange disk, and the network cards' addresses and links.
    public var restoring: SavedMachine?

    /// A configuration as given.
    public init(
        name: String, image: BootableImage, memory: ByteCount, cpus: Int, nested: Bool = false,
        disks: [DiskSpec] = [], exchangeDisk: String? = nil, networks: [NetworkAttachment] = [], cmdline: String,
        directory: String, goldenFolder: String? = nil, restoring: SavedMachine? = nil
    ) {
        self.name = name
        self.image = image
        self.memory = memory
        self.cpus = cpus
        self.nested = nested
        self.disks = disks
        self.exchangeDisk = exchangeDisk
        self.networks = networks
        self.cmdline = cmdline
        self.directory = directory
        self.goldenFolder = goldenFolder
        self.restoring = restoring
    }
}

extension MachineConfiguration {
    /// Whether the kernel command line has a serial console.
    var hasSerialWords: Bool {
        cmdline.split(separator: " ").contains { word in
            ["console=ttyS", "console=uart", "earlyprintk", "earlycon"].contains { word.hasPrefix($0) }
        }
    }
}

extension MachineBackend {
    /// Nil: this backend saves no machines.
    public func fingerprint(of configuration: MachineConfiguration) -> String? { nil }
}

/// A saved machine, from which any number of others can be restored. Its read-only files belong to the caller of `save`, and
/// must stay as long as a machine restored from it is running.
public struct SavedMachine: Sendable, Hashable, Codable {
    /// A disk that the guest wrote to.
    public struct Disk: Sendable, Hashable, Codable {
        /// The file, absolute.
        public var path: String
        /// The file's format.
        public var format: ImageDisk.Format

        /// A disk as given.
        public init(path: String, format: ImageDisk.Format) {
            self.path = path
            self.format = format
        }
    }

    /// The file with the state of CPUs and devices, absolute; also with the memory, unless that has a file of its own.
    public var state: String
    /// The memory as a flat file: clones map it copy-on-write and share unmodified pages.
    public var memory: String?
    /// The disks that the guest wrote to, by disk index.
    public var disks: [Int: Disk]
    /// What its clones renew of their own, where that was learned.
    public var needs: CloneNeeds?

    /// A saved machine as given.
    public init(state: String, memory: String? = nil, disks: [Int: Disk] = [:], needs: CloneNeeds? = nil) {
        self.needs = needs
        self.state = state
        self.memory = memory
        self.disks = disks
    }
}

/// A network card. Each frame is a datagram between two unix sockets.
public struct NetworkAttachment: Sendable, Hashable {
    /// The purpose of a card; clones have cards of the same kinds as their golden.
    public enum Kind: String, Sendable, Hashable {
        /// A network between guests.
        case segment
        /// The outside, behind a NAT router.
        case nat
    }

    /// The MAC address, `52:54:00:xx:xx:xx`.
    public var mac: String
    /// The socket at which the machine receives frames.
    public var local: String
    /// The socket that it sends frames to: a switch, or the link to the outside.
    public var remote: String

    /// An attachment as given.
    public init(mac: String, local: String, remote: String) {
        self.mac = mac
        self.local = local
        self.remote = remote
    }
}

/// A running machine: one supervised child process. Its owner must call `end()`; nothing else releases its resources.
public protocol Machine: Sendable {
    /// COM1, the guest's kernel console.
    var console: any ByteChannel { get }

    /// COM2, the command channel.
    var commands: any ByteChannel { get }

    /// The machine's events; the stream finishes with `exited` when its process is gone. One consumer.
    var events: AsyncStream<MachineEvent> { get }

    /// The child's process id.
    var processID: Int32 { get }

    /// Presses the power button. Throws when the machine does not answer or has none.
    func powerDown() async throws

    /// Presses the reset button.
    func reset() async throws

    /// From now on the machine stays, with its disks, when its guest powers itself off, until `powerOn`.
    func stayWhenOff() async throws

    /// Powers on a machine that is off or stopped. From now on it ends when its guest powers itself off.
    func powerOn() async throws

    /// Pauses the vCPUs.
    func pause() async throws

    /// Resumes the vCPUs.
    func resume() async throws

    /// Observes the machine for this time, and returns whether its guest is alive: a vCPU runs user code, or all are idle. A
    /// kernel that has panicked spins. False where this cannot be observed.
    func showsLife(within time: Duration) async -> Bool

    /// Saves the machine to files in `folder`, which exists and is empty. The guest is paused meanwhile. The machine is resumed
    /// afterwards, also on errors, except for one whose memory is kept in that folder: it stays stopped. After an error the caller
    /// removes the files.
    func save(to folder: String) async throws -> SavedMachine

    /// Ends the machine and releases its resources: process, sockets, overlays. Never fails, is safe to repeat, and returns
    /// when nothing is left, also in a cancelled task.
    func end() async
}

extension Machine {
    /// Throws: this backend has no power button.
    public func powerDown() async throws { throw unsupported("press its power button") }
    /// Throws: this backend cannot reset.
    public func reset() async throws { throw unsupported("reset it") }
    /// Throws: this backend's machines end when they are off.
    public func stayWhenOff() async throws { throw unsupported("stay when it is powered off") }
    /// Throws: this backend's machines end when they are off.
    public func powerOn() async throws { throw unsupported("be powered on again") }
    /// Throws: this backend cannot pause.
    public func pause() async throws { throw unsupported("pause it") }
    /// Throws: this backend cannot resume.
    public func resume() async throws { throw unsupported("resume it") }

    /// Waits for the time given: this backend cannot observe the vCPUs.
    public func showsLife(within time: Duration) async -> Bool {
        try? await HostClock.sleep(for: time)
        return false
    }

    /// Throws: this backend cannot save a machine.
    public func save(to folder: String) async throws -> SavedMachine { throw unsupported("save its state") }

    private func unsupported(_ operation: String) -> Diagnostic {
        Diagnostic(
            .host, "the backend of this machine cannot \(operation)", remedy: "use another `backend:` for this guest")
    }
}

/// An event of a machine.
public enum MachineEvent: Sendable, Hashable {
    /// The guest powered itself off.
    case shutdown
    /// The guest rebooted, or the machine was reset.
    case reset
    /// The guest reported a panic to its panic device, or a vCPU met a fatal error.
    case panicked(String)
    /// The process has exited: its status as text, and the end of its standard error.
    case exited(status: String, standardError: [String])
}
