import HostSystem
import MicroVM
import QMP
import VirtualHardware

extension GuestProcess {
    func attachSerialPort(
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
    }

    func attachPower(to assembly: inout MachineAssembly) throws {
        let onEvent: @Sendable (GuestEvent) -> Void = { [weak self] event in
            guard let self else { return }
            // The vCPU that caused it must not continue meanwhile.
            if event != .panicked { machine?.holdSoon() }
            reactor.perform { [weak self] in self?.handle(event) }
        }
        let power = PowerRegisters(
            interrupt: try assembly.interrupt(MachineLayout.eventInterrupt),
            onPowerOff: { onEvent(.poweredOff) }, onReset: { onEvent(.reset(by: .resetRegister)) })
        self.power = power
        assembly.attach(power, atPorts: MachineLayout.powerPorts)
        assembly.attach(
            WritePort.keyboardController { onEvent(.reset(by: .keyboardController)) },
            atPorts: MachineLayout.keyboardController)
        let panicPort = MachineLayout.panicPort
        assembly.attach(WritePort.panicDevice { onEvent(.panicked) }, atPorts: panicPort..<(panicPort + 1))
        if let number = configuration.debugLog {
            let log = try DebugLog(number, reactor: reactor)
            debugLog = log
            let debugPort = MachineLayout.debugPort
            assembly.attach(
                WritePort.debugPort { [weak self] mark in log.note(mark, exits: self?.machine?.exitCount ?? 0) },
                atPorts: debugPort..<(debugPort + 1))
        }
    }

    struct Backing {
        var disks: [(storage: any BlockStorage, serial: String)]
        var cards: [(address: EthernetAddress, port: any FramePort)]
    }

    func openBacking(_ saved: SavedFiles?) throws -> Backing {
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

    func attachVirtio(_ backing: Backing, to assembly: inout MachineAssembly) throws {
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
}
