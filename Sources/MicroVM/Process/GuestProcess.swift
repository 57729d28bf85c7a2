import CLinux
import Glibc
import HostSystem
import Synchronization
import VirtualHardware

/// One guest from its start to its end: what the program vmlab-vmm does, on the thread that calls `run`.
public final class GuestProcess: @unchecked Sendable {
    // Unchecked: after `init` everything runs on the reactor's thread, but for what the devices' callbacks pass on to it.

    /// How a guest ended, and the program's exit status with it.
    public enum End: Int32, Sendable {
        /// The guest powered off, or somebody asked the machine to quit.
        case orderly = 0
        /// It panicked before that, or its processor could not go on.
        case failed = 1
    }

    private let reactor: Reactor
    private let configuration: VMConfiguration
    private var machine: Machine?
    private var ports: [SerialPort] = []
    private var disks: [BlockDevice] = []
    private var cards: [NetworkDevice] = []
    private var power: PowerRegisters?
    private var terminal: Terminal?
    private var signals: SignalDescriptor?
    private var end: End?
    private var hasPanicked = false

    /// Makes the machine; it runs when `run` is called. Throws what of the host or of the guest's files stands against it.
    public init(_ configuration: VMConfiguration) throws {
        self.configuration = configuration
        reactor = try Reactor()
        signals = try SignalDescriptor([SIGTERM, SIGINT, SIGHUP])
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
        let escape = TerminalEscape { [weak self] in self?.quit() }
        let filter: (@Sendable ([UInt8]) -> [UInt8])? = if endpoint == .terminal { { escape.filter($0) } } else { nil }
        let port = SerialPort(reactor: reactor, filter: filter)
        let uart = UART16550(interrupt: try assembly.interrupt(interrupt), owner: port.owner)
        port.attach(uart)
        assembly.attach(uart, atPorts: place)
        switch endpoint {
        case .none: break
        case .terminal:
            terminal = Terminal()
            try port.connect(input: 0, output: 1)
        case .descriptor(let number): try port.connect(OwnedDescriptor(owning: number))
        case .socket(let path): try port.listen(at: path)
        }
        ports.append(port)
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
                    try RawStorage(disk.path, isReadOnly: disk.readOnly)
                }
            let device = try BlockDevice(storage, serial: disk.serial)
            disks.append(device)
            try assembly.attach(device, reactor: reactor)
        }
        for card in configuration.networks {
            let port =
                switch card.link {
                case .sockets(let local, let remote): try FrameSocket.segment(local: local, remote: remote)
                case .tap(let name): try FrameSocket.tap(name)
                }
            let device = try NetworkDevice(port, mac: MACAddress(card.mac)?.bytes ?? [], reactor: reactor)
            cards.append(device)
            try assembly.attach(device, reactor: reactor)
        }
        try assembly.attach(EntropyDevice(), reactor: reactor)
    }

    // MARK: Running

    /// Runs the guest to its end.
    public func run() throws -> End {
        defer { terminal?.restore() }
        if let signals {
            _ = try reactor.watch(signals.number) { [weak self] _ in
                signals.drain()
                self?.quit()
            }
        }
        machine?.run()
        reactor.run()
        machine?.end()
        for port in ports { port.drain(milliseconds: 2000) }
        for disk in disks { disk.end() }
        for card in cards { card.end() }
        return end ?? .orderly
    }

    /// Ends the machine, whatever the guest is doing. May be called on any thread.
    public func quit() {
        reactor.perform { [weak self] in self?.finish(.orderly) }
    }

    private func finish(_ end: End) {
        guard self.end == nil else { return }
        self.end = end
        reactor.stop()
    }

    private func handle(_ event: MachineEvent) {
        guard end == nil, let machine else { return }
        switch event {
        case .poweredOff:
            finish(hasPanicked ? .failed : .orderly)
        case .reset:
            do {
                try machine.reset()
                machine.run()
            } catch {
                fail("the machine cannot be reset: \(error)")
            }
        case .panicked:
            hasPanicked = true
        case .failed(let reason):
            fail(reason)
        }
    }

    private func fail(_ reason: String) {
        let line = Array("vmlab-vmm: \(configuration.name): \(reason)\n".utf8)
        _ = write(2, line, line.count)
        finish(.failed)
    }
}
