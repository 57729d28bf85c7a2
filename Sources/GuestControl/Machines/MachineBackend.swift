import HostSystem
import Diagnostics
import GuestConsole
import LabSpec
import Quantities

/// Makes machines: the seam between the engine and whatever virtualizes (QEMU, the built-in monitor, a test's script).
public protocol MachineBackend: Sendable {
    /// Short name for results, such as `qemu-tcg`, `qemu-kvm` or `kvm`.
    var name: String { get }

    /// Host memory that a machine costs beyond its guest's RAM, as measured for this backend.
    func overhead(memory: ByteCount, cpus: Int) -> ByteCount

    /// What a saved machine of this configuration can only be restored with, beyond the image and the guest's shape: the
    /// program that runs it, how it is told to, the host's processor. Two machines of equal fingerprints can go on from each
    /// other's states. Nil when this backend does not save such a machine.
    func fingerprint(of configuration: MachineConfiguration) -> String?

    /// Starts a machine; it runs when this returns.
    ///
    /// Throws a `Diagnostic` that names the host's trouble and its cure. A guest that fails to boot is not an error here.
    /// On a throw, and when the calling task is cancelled, nothing of the machine is left.
    func start(_ configuration: MachineConfiguration) async throws -> any Machine
}

/// What a machine is made from. Paths are absolute.
public struct MachineConfiguration: Sendable {
    /// The guest's name: its host name, and part of file names.
    public var name: String
    /// What it boots.
    public var image: BootableImage
    /// RAM.
    public var memory: ByteCount
    /// vCPUs.
    public var cpus: Int
    /// Whether the vCPUs can run guests of their own.
    public var nested: Bool
    /// Disks beyond the image's own, in order.
    public var disks: [DiskSpec]
    /// The exchange disk for files, a sparse raw file that the engine made in `directory`; nil for none.
    public var exchangeDisk: String?
    /// Network cards in order.
    public var networks: [NetworkAttachment]
    /// The whole kernel command line.
    public var cmdline: String
    /// A folder of this machine's own for sockets, overlays and logs; exists, short, gone after the machine.
    public var directory: String
    /// The folder that the machine will be saved to and then ended, such as a golden's: its memory is kept there from the
    /// start, so that `save(to:)` copies none of it. Nil for one that may be saved anywhere, and goes on.
    public var goldenFolder: String?
    /// What the machine goes on from; nil for one that is powered on. All else must be as the saved machine had it, but for
    /// the name, the command line's words, the exchange disk and the network cards' addresses and links.
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
    /// Whether the kernel command line has the kernel speak on a serial port.
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

/// A machine at one moment: any number of others can go on from there. Its files belong to who had it saved, must stay for as
/// long as a machine that was restored from it lives, and are never written to.
public struct SavedMachine: Sendable, Hashable, Codable {
    /// A disk that the guest wrote to.
    public struct Disk: Sendable, Hashable, Codable {
        /// The file, absolute.
        public var path: String
        /// How it is laid out.
        public var format: ImageDisk.Format

        /// A disk as given.
        public init(path: String, format: ImageDisk.Format) {
            self.path = path
            self.format = format
        }
    }

    /// The file with the state of its processors and devices, absolute; also with its memory where that has no file.
    public var state: String
    /// The file that is its memory, byte for byte: clones map it copy-on-write and so share what they do not write to.
    public var memory: String?
    /// The disks of its own, by their places in the order that the guest sees them.
    public var disks: [Int: Disk]

    /// A saved machine as given.
    public init(state: String, memory: String? = nil, disks: [Int: Disk] = [:]) {
        self.state = state
        self.memory = memory
        self.disks = disks
    }
}

/// A network card of a machine. Each of its frames is a datagram between two unix sockets.
public struct NetworkAttachment: Sendable, Hashable {
    /// What a card is for; clones have cards of the same kinds as their golden.
    public enum Kind: String, Sendable, Hashable {
        /// A network between guests.
        case segment
        /// The outside.
        case nat
    }

    /// The card's address, `52:54:00:xx:xx:xx`.
    public var mac: String
    /// The path at which the machine receives.
    public var local: String
    /// The path that it sends to: a switch, or the way to the outside.
    public var remote: String

    /// An attachment as given.
    public init(mac: String, local: String, remote: String) {
        self.mac = mac
        self.local = local
        self.remote = remote
    }
}

/// A running machine: one supervised child process.
///
/// Its owner calls `end()` exactly when it is done with it; nothing else releases what it holds.
public protocol Machine: Sendable {
    /// COM1, the guest's kernel console.
    var console: any ByteChannel { get }

    /// COM2, the command channel.
    var commands: any ByteChannel { get }

    /// What the machine reports; finishes when its process is gone, with `exited` as the last event. One consumer.
    var events: AsyncStream<MachineEvent> { get }

    /// The child's process id.
    var processID: Int32 { get }

    /// Asks the guest to shut down, as by its power button. Throws when the machine does not answer or cannot.
    func powerDown() async throws

    /// Resets the machine, as by its reset button.
    func reset() async throws

    /// Has the machine stay, with its disks, when its guest powers itself off from now on: it is off until `powerOn`.
    func stayWhenOff() async throws

    /// Powers on a machine that is off, or that stands still. From now on it ends when its guest powers itself off.
    func powerOn() async throws

    /// Stops the vCPUs.
    func pause() async throws

    /// Lets the vCPUs run again.
    func resume() async throws

    /// Watches the machine for so long, and says whether its guest goes on: a processor is in one of its programs, or all rest.
    /// A kernel that has panicked turns in a loop. False where that cannot be seen.
    func showsLife(within time: Duration) async -> Bool

    /// Keeps the machine as it is now in files of `folder`, which exists and is empty. The guest stands still meanwhile.
    ///
    /// However this ends, the machine goes on, but for one whose memory is kept in that folder: it stands still for good. On
    /// a throw the files are the caller's to remove.
    func save(to folder: String) async throws -> SavedMachine

    /// Ends the machine now and releases everything it holds: process, sockets, overlays. Never fails, safe to repeat, and
    /// returns when nothing is left, also in a cancelled task.
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

    /// Waits for so long: this backend does not see what its machine's processors do.
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

/// What a machine reports.
public enum MachineEvent: Sendable, Hashable {
    /// The guest powered itself off.
    case shutdown
    /// The guest rebooted itself, or was reset.
    case reset
    /// The guest told its panic device, or the vCPU met an error it cannot go on from.
    case panicked(String)
    /// The process is gone: its status in words and the end of what it said on standard error.
    case exited(status: String, standardError: [String])
}
