import CLinux
import Glibc
import HostSystem
import KVM
import MicroVM
import QMP
import Synchronization
import VirtualHardware

/// One guest from its start to its end: what the program vmlab-vmm does, on the thread that calls `run`.
public final class GuestProcess: @unchecked Sendable {
    // Unchecked: after `init` everything runs on the reactor's thread, but for the devices' callbacks, which run on the
    // processors' too. Those read `machine`, set once before they can be called, and ask it for what may be asked on any
    // thread; all else they pass on to the reactor.

    private let reactor: Reactor
    private let configuration: VMConfiguration
    private var machine: Machine?
    private let monitor: QMPServer
    private var lines: [SerialLine] = []
    private var ports: [UART16550] = []
    private var power: PowerRegisters?
    /// By the numbers of their disks.
    private var overlays: [Int: OverlayStorage] = [:]
    private var cables: [any FramePort] = []
    private var golden: GoldenMemory?
    private var debugLog: DebugLog?
    private var signals: SignalPort?
    private var end: VMMExitStatus?
    private var state = RunState.paused
    private var hasPanicked = false
    private var shutdownAction = ShutdownAction.poweroff

    /// Makes the machine; it runs when `run` is called. Throws what of the host or of the guest's files stands against it.
    public init(_ configuration: VMConfiguration) throws {
        self.configuration = configuration
        // A file that may not grow any more is an error of that write, which the guest gets as its disk's, not our end.
        signal(SIGXFSZ, SIG_IGN)
        reactor = try Reactor()
        monitor = try QMPServer(configuration.monitor, reactor: reactor)
        // Before there are threads that must not hear them.
        signals = try SignalPort(reactor: reactor) { [weak self] _ in self?.finish(.poweredOff, .signal) }
        let loader = try GuestLoader(
            kernel: configuration.kernel, initrd: configuration.initrd, commandLine: configuration.cmdline)
        let saved = try configuration.restore.map { try SnapshotFiles(path: $0).read() }
        golden = try configuration.golden.map {
            try GoldenMemory(SnapshotFiles(path: $0), size: configuration.memory)
        }
        var assembly = try MachineAssembly.make(
            memory: configuration.memory, processors: configuration.cpus,
            backing: saved?.backing ?? golden?.backing ?? .memory)
        try attachSerialPort(
            configuration.com1, MachineLayout.com1, MachineLayout.com1Interrupt, to: &assembly)
        try attachSerialPort(
            configuration.com2, MachineLayout.com2, MachineLayout.com2Interrupt, to: &assembly)
        try attachPower(to: &assembly)
        let backing = try openBacking(saved)
        // All that has a path is open; none of the threads runs that this is to hold for.
        if configuration.sandbox { try confineFiles() }
        try attachVirtio(backing, to: &assembly)
        machine = try Machine(assembly, loader: loader, boots: saved == nil) { [weak self] event in
            guard let self else { return }
            reactor.perform { [weak self] in self?.handle(event) }
        }
        if let saved { try machine?.restore(saved) }
        let ports = ports
        try machine?.watchCoalescedWrites(reactor) { ports.contains { $0.sendsByInterrupt } }
    }

    // MARK: Devices

    private func attachSerialPort(
        _ endpoint: VMConfiguration.Endpoint, _ place: Range<UInt64>, _ interrupt: UInt32,
        to assembly: inout MachineAssembly
    ) throws {
        let line = try SerialLine(endpoint, reactor: reactor)
        var owner = line.owner
        owner.sendsByInterrupt = { [weak self] in self?.machine?.coalesceWrites(toPort: place.lowerBound) }
        let uart = UART16550(interrupt: try assembly.interrupt(interrupt), owner: owner)
        assembly.attach(uart, atPorts: place)
        try line.start(uart) { [weak self] in self?.finish(.poweredOff, .userInterface) }
        lines.append(line)
        ports.append(uart)
    }

    private func attachPower(to assembly: inout MachineAssembly) throws {
        let onEvent: @Sendable (GuestEvent) -> Void = { [weak self] event in
            guard let self else { return }
            // The processor that did it shall not go on meanwhile.
            if event != .panicked { machine?.holdSoon() }
            reactor.perform { [weak self] in self?.handle(event) }
        }
        let power = PowerRegisters(
            interrupt: try assembly.interrupt(MachineLayout.eventInterrupt),
            onPowerOff: { onEvent(.poweredOff) }, onReset: { onEvent(.reset(by: .resetRegister)) })
        self.power = power
        assembly.attach(power, atPorts: MachineLayout.powerPorts)
        assembly.attach(
            KeyboardController { onEvent(.reset(by: .keyboardController)) },
            atPorts: MachineLayout.keyboardController)
        let panicPort = MachineLayout.panicPort
        assembly.attach(PanicDevice { onEvent(.panicked) }, atPorts: panicPort..<(panicPort + 1))
        if let number = configuration.debugLog {
            let log = try DebugLog(number, reactor: reactor)
            debugLog = log
            let debugPort = MachineLayout.debugPort
            assembly.attach(
                DebugPort { [weak self] mark in log.note(mark, exits: self?.machine?.exitCount ?? 0) },
                atPorts: debugPort..<(debugPort + 1))
        }
    }

    /// What virtio devices read and write on the host.
    private struct Backing {
        var disks: [(storage: any BlockStorage, serial: String)]
        var cards: [(address: EthernetAddress, port: any FramePort)]
    }

    private func openBacking(_ saved: SavedFiles?) throws -> Backing {
        Backing(
            disks: try configuration.disks.enumerated().map { number, disk in
                (try storage(number, disk, over: saved?.layer(ofDisk: number), saved), disk.serial)
            },
            cards: try configuration.networks.compactMap { card in
                guard let address = EthernetAddress(card.mac) else { return nil }
                let port: any FramePort =
                    switch card.link {
                    case .sockets(let local, let remote): try SegmentPort(path: local, peer: remote)
                    case .tap(let name): try TapPort(name: name)
                    }
                return (address, port)
            })
    }

    private func storage(
        _ number: Int, _ disk: VMConfiguration.Disk, over layer: OverlayStorage.Layer?, _ saved: SavedFiles?
    ) throws -> any BlockStorage {
        if let overlay = disk.overlay {
            let storage = try OverlayStorage(base: disk.path, layer: layer, overlay: overlay)
            overlays[number] = storage
            return storage
        }
        if layer != nil, let saved {
            throw saved.files.refusal(
                SnapshotError("the guest had written to disk \(number), which has no overlay here"))
        }
        return try RawStorage(path: disk.path, readOnly: disk.readOnly)
    }

    private func attachVirtio(_ backing: Backing, to assembly: inout MachineAssembly) throws {
        cables = backing.cards.map(\.port)
        for disk in backing.disks {
            try assembly.attach(BlockDevice(storage: disk.storage, serial: disk.serial), reactor: reactor)
        }
        for card in backing.cards {
            try assembly.attach(
                NetworkDevice(address: card.address, port: card.port, reactor: reactor), reactor: reactor)
        }
        try assembly.attach(EntropyDevice(reactor: reactor), reactor: reactor)
    }

    // MARK: Running

    /// Runs the guest to its end and says how it ended.
    public func run() throws -> VMMExitStatus {
        // The process ends without giving its objects back.
        defer { for cable in cables { cable.close() } }
        try monitor.start(self)
        if configuration.sandbox { try confineCalls() }
        machine?.run()
        state = .running
        reactor.run()
        machine?.end()
        for line in lines { line.finish(milliseconds: 1000) }
        debugLog?.write()
        monitor.finish()
        return end ?? .poweredOff
    }

    /// Folders with sockets that have a path: these are removed in the end, which takes their folders.
    private var socketFolders: [String] {
        Set(configuration.socketPaths.map(Self.folder(of:))).sorted()
    }

    private static func folder(of path: String) -> String {
        path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    }

    /// Folders in which files are made or removed while the machine runs.
    private var writtenFolders: [String] {
        let golden = configuration.golden.map(Self.folder(of:))
        return Set(socketFolders + [configuration.snapshots, golden].compactMap { $0 }).sorted()
    }

    /// Gives up all files but those that are open: landlock, which holds for this thread and those that it starts later.
    private func confineFiles() throws {
        _ = try Sandbox.confineFiles(to: writtenFolders.map { Sandbox.Place($0, isWritable: true) })
    }

    /// Gives up the system calls that a running machine does not need: seccomp, which holds for all threads, the processors'
    /// too. They are held until this has returned.
    private func confineCalls() throws {
        try Sandbox.confineCalls(
            .running(
                ioctls: RunTimeRequests.all, opensFiles: !writtenFolders.isEmpty,
                accepts: configuration.isListening, connects: cables.contains { $0.isConnecting }))
    }

    private func finish(_ status: VMMExitStatus, _ cause: QMPEvent.Cause) {
        guard end == nil else { return }
        end = status
        state = .shutdown
        machine?.holdSoon()
        monitor.emit(.shutdown(cause))
        reactor.stop()
    }

    private func handle(_ event: GuestEvent) {
        guard end == nil, state != .saved else { return }
        switch event {
        case .poweredOff where shutdownAction == .pause && !hasPanicked:
            if state != .shutdown { switchOff() }
        case .poweredOff:
            finish(hasPanicked ? .guestFailed : .poweredOff, .guestShutdown)
        case .reset:
            restart(.guestReset)
        case .panicked:
            hasPanicked = true
            monitor.emit(QMPEvent(.guestPanicked, ["action": "run"]))
        case .failed(let reason):
            fail(reason)
        }
    }

    /// The guest is off, and its machine waits to be powered on.
    private func switchOff() {
        machine?.hold()
        state = .shutdown
        monitor.emit(.shutdown(.guestShutdown))
        monitor.emit(QMPEvent(.stop))
    }

    /// Back to power-on, and on if it ran.
    private func restart(_ cause: QMPEvent.Cause) {
        do {
            try machine?.reset()
            hasPanicked = false
            monitor.emit(.reset(cause))
            if state == .running { machine?.run() }
        } catch {
            fail("the machine cannot be reset: \(error)")
        }
    }

    /// The guest cannot go on. A monitor's client may look at it; without one it ends.
    private func fail(_ reason: String) {
        let line = Array("vmlab-vmm: \(configuration.name): \(reason)\n".utf8)
        _ = write(2, line, line.count)
        state = .internalError
        monitor.emit(QMPEvent(.stop))
        if configuration.monitor == .none { finish(.guestFailed, .hostError) }
    }
}

extension GuestProcess: ControlledMachine {
    /// The guest's name, as configured.
    var name: String { configuration.name }
    /// What the machine does now.
    var status: RunState { state }
    /// The host's thread of each processor; none before the machine is made.
    var threadIDs: [Int32] { machine?.threadIDs ?? [] }

    /// Holds the processors; answers when all are held. No effect when it does not run.
    func stop(_ completion: @escaping ControlCompletion) {
        if state == .running {
            machine?.hold()
            state = .paused
            monitor.emit(QMPEvent(.stop))
        }
        completion(.success(()))
    }

    /// Lets held processors run again. Fails after an error that only a reset cures, and when the guest is off.
    func resume(_ completion: @escaping ControlCompletion) {
        guard state != .internalError, state != .shutdown else {
            return completion(.failure(QMPRefusal("Resetting the Virtual Machine is required")))
        }
        guard state != .saved else { return completion(.failure(Self.isOthers)) }
        if state == .paused {
            machine?.noteClockWasStopped()
            machine?.run()
            state = .running
            monitor.emit(QMPEvent(.resume))
        }
        completion(.success(()))
    }

    /// Back to power-on; a machine that ran runs on from there, one that was held or off stays held.
    func reset(_ completion: @escaping ControlCompletion) {
        guard state != .saved else { return completion(.failure(Self.isOthers)) }
        if state == .internalError { state = .running }
        if state == .shutdown { state = .paused }
        restart(.systemReset)
        completion(.success(()))
    }

    private static let isOthers = QMPRefusal("the machine was saved and its memory now belongs to the snapshot")

    /// Whether the configuration lets the machine be written down there.
    private func mayWrite(_ path: String) -> Bool {
        if path == configuration.golden { return true }
        guard let folder = configuration.snapshots, let slash = path.lastIndex(of: "/") else { return false }
        return path[..<slash] == (folder.hasSuffix("/") ? folder.dropLast() : folder[...])
            && ![".", "..", ""].contains(path[slash...].dropFirst())
    }

    /// Writes the machine down where the configuration lets it be.
    func saveSnapshot(_ path: String, _ completion: @escaping ControlCompletion) {
        guard mayWrite(path) else {
            return completion(.failure(QMPRefusal("a snapshot's path is a file in the folder `snapshots`")))
        }
        // One that has just switched itself off is held, too, but not by us.
        guard let machine, state == .paused || state == .running && machine.isRunning, !hasPanicked else {
            return completion(.failure(QMPRefusal("the machine is neither running nor paused")))
        }
        let files = SnapshotFiles(path: path)
        let golden = golden?.files == files ? golden : nil
        let result: Result<Void, QMPRefusal>
        do {
            try machine.save(to: files, overlays: overlays, golden: golden)
            result = .success(())
        } catch {
            result = .failure(QMPRefusal("the machine cannot be saved: \(error)"))
        }
        if golden != nil {
            if state == .running { monitor.emit(QMPEvent(.stop)) }
            state = .saved
        } else if state == .running {
            machine.noteClockWasStopped()
            machine.run()
        }
        completion(result)
    }

    /// Has the machine end or stay when its guest powers itself off from now on.
    func setShutdownAction(_ action: ShutdownAction) { shutdownAction = action }

    /// Presses the guest's power button, which it may ignore.
    func powerButton() {
        power?.pressPowerButton()
        monitor.emit(QMPEvent(.powerdown))
    }

    /// Ends the machine now, like pulling its plug.
    func quit() { finish(.poweredOff, .quit) }
}
