import Glibc
import HostSystem
import MicroVM
import QMP
import VirtualHardware

/// The main program of vmlab-vmm: runs one guest from start to end on the thread that calls `run`.
package final class GuestProcess: @unchecked Sendable {
    // Unchecked: after `init` everything runs on the reactor's thread, except device callbacks, which run on vCPU threads too.
    // Those read `machine`, set once before they can be called, and use its thread-safe functions; they pass all else to the
    // reactor.

    let reactor: Reactor
    let configuration: VMConfiguration
    private let monitor: QMPServer
    private var signals: SignalPort?
    private var golden: GoldenMemory?
    private var state = MachineState.paused(isPanicked: false)
    private var shutdownAction = ShutdownAction.poweroff

    // Created by `attach…`.
    private(set) var machine: MicroMachine?
    var lines: [SerialLine] = []
    var power: PowerRegisters?
    /// Keyed by disk number.
    var overlays: [Int: OverlayStorage] = [:]
    var cables: [any FramePort] = []
    var debugLog: DebugLog?

    /// Creates the machine; `run` starts it. Throws errors of the host or of the guest's files.
    package init(_ configuration: VMConfiguration) throws {
        self.configuration = configuration
        // A file at its size limit fails that write, which the guest gets as a disk error, instead of killing us.
        signal(SIGXFSZ, SIG_IGN)
        reactor = try Reactor()
        monitor = try QMPServer(configuration.monitor, reactor: reactor)
        // Before there are threads that must not receive them.
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
        // All paths are open, and no other thread to be confined has started.
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

    package func run() throws -> VMMExitStatus {
        // The process exits without releasing its objects.
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

    /// Makes a transition; false when it is illegal.
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

    /// Resets the machine; it continues if it was running.
    private func restart(_ cause: QMPEvent.Cause) {
        do {
            try machine?.reset()
            monitor.emit(.reset(cause))
            if state.runState == .running { machine?.run() }
        } catch {
            fail("the machine cannot be reset: \(error)")
        }
    }

    /// Handles a fatal guest error. A QMP client may inspect the guest; without one the process ends.
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

    /// The error for a client's illegal transition.
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
        // A machine that just powered itself off is also paused, but not by us.
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
