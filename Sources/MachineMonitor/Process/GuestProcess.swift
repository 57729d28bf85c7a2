import Glibc
import HostSystem
import MicroVM
import QMP
import VirtualHardware

/// One guest from its start to its end: what the program vmlab-vmm does, on the thread that calls `run`.
package final class GuestProcess: @unchecked Sendable {
    // Unchecked: after `init` everything runs on the reactor's thread, but for the devices' callbacks, which run on the
    // processors' too. Those read `machine`, set once before they can be called, and ask it for what may be asked on any
    // thread; all else they pass on to the reactor.

    let reactor: Reactor
    let configuration: VMConfiguration
    private let monitor: QMPServer
    private var signals: SignalPort?
    private var golden: GoldenMemory?
    private var state = MachineState.paused(isPanicked: false)
    private var shutdownAction = ShutdownAction.poweroff

    // What `attach…` makes.
    private(set) var machine: MicroMachine?
    var lines: [SerialLine] = []
    var power: PowerRegisters?
    /// By the numbers of their disks.
    var overlays: [Int: OverlayStorage] = [:]
    var cables: [any FramePort] = []
    var debugLog: DebugLog?

    /// Makes the machine; it runs when `run` is called. Throws what of the host or of the guest's files stands against it.
    package init(_ configuration: VMConfiguration) throws {
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
        machine = try MicroMachine(assembly, loader: loader, boots: saved == nil) { [weak self] event in
            guard let self else { return }
            reactor.perform { [weak self] in self?.handle(event) }
        }
        if let saved { try machine?.restore(saved) }
        let lines = lines
        try machine?.watchCoalescedWrites(reactor) { lines.contains { $0.sendsByInterrupt } }
    }

    /// Runs the guest to its end and says how it ended.
    package func run() throws -> VMMExitStatus {
        // The process ends without giving its objects back.
        defer { for cable in cables { cable.close() } }
        try monitor.start(self)
        if configuration.sandbox { try confineCalls() }
        if move(.resume) { machine?.run() }
        reactor.run()
        machine?.end()
        for line in lines { line.finish(milliseconds: 1000) }
        debugLog?.write()
        monitor.finish()
        guard case .ended(let status) = state else { return .poweredOff }
        return status
    }

    // MARK: Moves

    /// Goes to another state; false where this one does not have that move.
    private func move(_ move: MachineState.Move) -> Bool {
        guard let next = state.after(move) else { return false }
        state = next
        return true
    }

    func finish(_ status: VMMExitStatus, _ cause: QMPEvent.Cause) {
        guard move(.end(status)) else { return }
        machine?.holdSoon()
        monitor.emit(.shutdown(cause))
        reactor.stop()
    }

    func handle(_ event: GuestEvent) {
        switch event {
        case .poweredOff: powerOff()
        case .reset:
            if move(.reboot) { restart(.guestReset) }
        case .panicked:
            if move(.panic) { monitor.emit(QMPEvent(.guestPanicked, ["action": "run"])) }
        case .failed(let reason): fail(reason)
        }
    }

    private func powerOff() {
        switch state.after(.powerOff(shutdownAction)) {
        case .ended(let status): finish(status, .guestShutdown)
        case let next?:
            state = next
            machine?.hold()
            monitor.emit(.shutdown(.guestShutdown))
            monitor.emit(QMPEvent(.stop))
        case nil: break
        }
    }

    /// Back to power-on, and on if it runs.
    private func restart(_ cause: QMPEvent.Cause) {
        do {
            try machine?.reset()
            monitor.emit(.reset(cause))
            if state.runState == .running { machine?.run() }
        } catch {
            fail("the machine cannot be reset: \(error)")
        }
    }

    /// The guest cannot go on. A monitor's client may look at it; without one it ends.
    private func fail(_ reason: String) {
        guard move(.fail) else { return }
        VMMProcess.complain("\(configuration.name): \(reason)")
        monitor.emit(QMPEvent(.stop))
        if configuration.monitor == .none { finish(.guestFailed, .hostError) }
    }
}

extension GuestProcess: ControlledMachine {
    var name: String { configuration.name }
    var status: RunState { state.runState }
    var threadIDs: [Int32] { machine?.threadIDs ?? [] }

    /// Why the state does not have a move that a client asks for.
    private var refusal: QMPRefusal {
        switch state {
        case .saved: QMPRefusal("the machine was saved and its memory now belongs to the snapshot")
        default: QMPRefusal("Resetting the Virtual Machine is required")
        }
    }

    func stop(_ completion: @escaping ControlCompletion) {
        if move(.hold) {
            machine?.hold()
            monitor.emit(QMPEvent(.stop))
        }
        completion(.success(()))
    }

    func resume(_ completion: @escaping ControlCompletion) {
        if move(.resume) {
            machine?.noteClockWasStopped()
            machine?.run()
            monitor.emit(QMPEvent(.resume))
        }
        completion(status == .running ? .success(()) : .failure(refusal))
    }

    func reset(_ completion: @escaping ControlCompletion) {
        guard move(.reset) else { return completion(.failure(refusal)) }
        restart(.systemReset)
        completion(.success(()))
    }

    func saveSnapshot(_ path: String, _ completion: @escaping ControlCompletion) {
        guard mayWrite(path) else {
            return completion(.failure(QMPRefusal("a snapshot's path is a file in the folder `snapshots`")))
        }
        // One that has just switched itself off is held, too, but not by us.
        guard let machine, state.after(.save) != nil, status == .paused || machine.isRunning else {
            return completion(.failure(QMPRefusal("the machine is neither running nor paused")))
        }
        let wasRunning = status == .running
        let files = SnapshotFiles(path: path)
        let golden = golden?.files == files ? golden : nil
        let result = Result { try machine.save(to: files, overlays: overlays, golden: golden) }
            .mapError { QMPRefusal("the machine cannot be saved: \($0)") }
        if golden != nil {
            if wasRunning { monitor.emit(QMPEvent(.stop)) }
            _ = move(.save)
        } else if wasRunning {
            machine.noteClockWasStopped()
            machine.run()
        }
        completion(result)
    }

    func setShutdownAction(_ action: ShutdownAction) { shutdownAction = action }

    func powerButton() {
        power?.pressPowerButton()
        monitor.emit(QMPEvent(.powerdown))
    }

    func quit() { finish(.poweredOff, .quit) }
}
