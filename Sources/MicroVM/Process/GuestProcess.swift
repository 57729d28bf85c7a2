import CLinux
import Glibc
import HostSystem
import KVM
import Synchronization
import VirtualHardware

/// One guest from its start to its end: what the program vmlab-vmm does, on the thread that calls `run`.
public final class GuestProcess: @unchecked Sendable {
    // Unchecked: after `init` everything runs on the reactor's thread, but for what the devices' callbacks pass on to it.

    private let reactor: Reactor
    private let configuration: VMConfiguration
    private var machine: Machine?
    private let monitor: QMPServer
    private var lines: [SerialLine] = []
    private var power: PowerRegisters?
    private var signals: SignalPort?
    private var end: ExitStatus?
    private var state = RunState.paused
    private var hasPanicked = false

    /// Makes the machine; it runs when `run` is called. Throws what of the host or of the guest's files stands against it.
    public init(_ configuration: VMConfiguration) throws {
        self.configuration = configuration
        reactor = try Reactor()
        monitor = try QMPServer(configuration.monitor, reactor: reactor)
        // Before there are threads that must not hear them.
        signals = try SignalPort(reactor: reactor) { [weak self] _ in self?.finish(.poweredOff, .signal) }
        let loader = try GuestLoader(
            kernel: configuration.kernel, initrd: configuration.initrd, commandLine: configuration.cmdline)
        var assembly = try MachineAssembly.make(memory: configuration.memory, processors: configuration.cpus)
        try attachSerialPort(
            configuration.com1, MachineLayout.com1, MachineLayout.com1Interrupt, to: &assembly)
        try attachSerialPort(
            configuration.com2, MachineLayout.com2, MachineLayout.com2Interrupt, to: &assembly)
        try attachPower(to: &assembly)
        try attachVirtio(to: &assembly)
        machine = try Machine(assembly, loader: loader) { [weak self] event in
            guard let self else { return }
            reactor.perform { [weak self] in self?.handle(event) }
        }
    }

    // MARK: Devices

    private func attachSerialPort(
        _ endpoint: VMConfiguration.Endpoint, _ place: Range<UInt64>, _ interrupt: UInt32,
        to assembly: inout MachineAssembly
    ) throws {
        let line = try SerialLine(endpoint, reactor: reactor)
        let uart = UART16550(interrupt: try assembly.interrupt(interrupt), owner: line.owner)
        assembly.attach(uart, atPorts: place)
        try line.start(uart) { [weak self] in self?.finish(.poweredOff, .userInterface) }
        lines.append(line)
    }

    private func attachPower(to assembly: inout MachineAssembly) throws {
        let onEvent: @Sendable (MachineEvent) -> Void = { [weak self] event in
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
        if let log = configuration.debugLog {
            let debugPort = MachineLayout.debugPort
            assembly.attach(
                DebugPort { [weak self] mark in self?.note(mark, in: log) }, atPorts: debugPort..<(debugPort + 1))
        }
    }

    private func note(_ mark: UInt8, in log: Int32) {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        let nanoseconds = now.tv_sec * 1_000_000_000 + now.tv_nsec
        let line = Array("\(mark) \(nanoseconds) \(machine?.exitCount ?? 0)\n".utf8)
        _ = write(log, line, line.count)
    }

    private func attachVirtio(to assembly: inout MachineAssembly) throws {
        for disk in configuration.disks {
            let storage: any BlockStorage =
                if let overlay = disk.overlay {
                    try OverlayStorage(base: disk.path, overlay: overlay)
                } else {
                    try RawStorage(path: disk.path, readOnly: disk.readOnly)
                }
            try assembly.attach(BlockDevice(storage: storage, serial: disk.serial), reactor: reactor)
        }
        for card in configuration.networks {
            guard let address = EthernetAddress(card.mac) else { continue }
            let port: any FramePort =
                switch card.link {
                case .sockets(let local, let remote): try SegmentPort(path: local, peer: remote)
                case .tap(let name): try TapPort(name: name)
                }
            try assembly.attach(NetworkDevice(address: address, port: port, reactor: reactor), reactor: reactor)
        }
        try assembly.attach(EntropyDevice(reactor: reactor), reactor: reactor)
    }

    // MARK: Running

    /// Runs the guest to its end and says how it ended.
    public func run() throws -> ExitStatus {
        try monitor.start(self)
        if configuration.sandbox { try confine() }
        machine?.run()
        state = .running
        reactor.run()
        machine?.end()
        for line in lines { line.finish(milliseconds: 1000) }
        monitor.finish()
        return end ?? .poweredOff
    }

    /// Gives up what a running machine does not need. Sockets with a path are removed in the end, which takes their folders.
    private func confine() throws {
        let folders = configuration.socketPaths.map { path in
            path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        }
        _ = try Sandbox.confineFiles(to: Set(folders).sorted().map { Sandbox.Place($0, isWritable: true) })
        try Sandbox.confineCalls(.running(ioctls: RunTimeRequests.all, opensFiles: !folders.isEmpty))
    }

    private func finish(_ status: ExitStatus, _ cause: ControlEvent.Cause) {
        guard end == nil else { return }
        end = status
        state = .shutdown
        machine?.holdSoon()
        monitor.emit(.shutdown(cause))
        reactor.stop()
    }

    private func handle(_ event: MachineEvent) {
        guard end == nil else { return }
        switch event {
        case .poweredOff:
            finish(hasPanicked ? .guestFailed : .poweredOff, .guestShutdown)
        case .reset:
            restart(.guestReset)
        case .panicked:
            hasPanicked = true
            monitor.emit(.guestPanicked(.run))
        case .failed(let reason):
            fail(reason)
        }
    }

    /// Back to power-on, and on if it ran.
    private func restart(_ cause: ControlEvent.Cause) {
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
        monitor.emit(.stopped)
        if configuration.monitor == .none { finish(.guestFailed, .hostError) }
    }
}

extension GuestProcess: ControlledMachine {
    public var name: String { configuration.name }
    public var status: RunState { state }
    public var threadIDs: [Int32] { machine?.threadIDs ?? [] }

    public func stop(_ completion: @escaping ControlCompletion) {
        if state == .running {
            machine?.hold()
            state = .paused
            monitor.emit(.stopped)
        }
        completion(.success(()))
    }

    public func resume(_ completion: @escaping ControlCompletion) {
        guard state != .internalError else {
            return completion(.failure(ControlFailure("Resetting the Virtual Machine is required")))
        }
        if state == .paused {
            machine?.noteClockWasStopped()
            machine?.run()
            state = .running
            monitor.emit(.resumed)
        }
        completion(.success(()))
    }

    public func reset(_ completion: @escaping ControlCompletion) {
        if state == .internalError { state = .running }
        restart(.systemReset)
        completion(.success(()))
    }

    public func powerButton() {
        power?.pressPowerButton()
        monitor.emit(.powerButton)
    }

    public func quit() { finish(.poweredOff, .quit) }
}
