import Diagnostics
import GuestConsole
import HostSystem
import JSON
import GuestControl
import Logging
import QMP
import Synchronization

/// A guest in its own process, controlled by QMP: QEMU or vmlab-vmm.
final class SupervisedMachine: Machine {
    let console: any ByteChannel
    let commands: any ByteChannel
    let events: AsyncStream<MachineEvent>
    var processID: Int32 { child.processID }

    private let child: ChildProcess
    private let log: Logger
    private let monitor: QMPClient
    private let files: [String]
    private let dialect: any MachineDialect
    private let isEnding = Atomic(false)
    private let ended = Completion<Void>()

    /// Takes over a running process and the files to remove with it.
    init(_ process: MachineProcess, files: [String], dialect: any MachineDialect) {
        child = process.child
        log = process.log
        monitor = process.monitor
        console = process.console
        commands = process.commands
        self.files = files
        self.dialect = dialect
        let (events, sink) = AsyncStream<MachineEvent>.makeStream()
        self.events = events
        // Ends with the process, so it needs no cancellation.
        Task.detached { [child, monitor] in
            for await event in monitor.events where dialect.receive(event) {
                if let event = await Self.machineEvent(event, monitor) { sink.yield(event) }
            }
            dialect.close()
            let status = await child.ended()
            sink.yield(.exited(status: status.description, standardError: child.standardError))
            sink.finish()
        }
    }

    private static func machineEvent(_ event: QMPEvent, _ monitor: QMPClient) async -> MachineEvent? {
        switch event.name {
        case .shutdown:
            // A `quit` of ours is no shutdown by the guest.
            return event.isByGuest ? .shutdown : nil
        case .reset:
            return .reset
        case .guestPanicked:
            return .panicked("the guest reported a kernel panic")
        case .stop:
            // Stopped by our own pause, or by an error.
            switch try? await monitor.status() {
            case .internalError: return .panicked("a virtual processor met a fatal error")
            case .ioError: return .panicked("the machine stopped on an I/O error of the host")
            default: return nil
            }
        default:
            return nil
        }
    }

    func powerDown() async throws { try await command(.powerButton) }
    func reset() async throws { try await command(.reset) }
    func pause() async throws { try await command(.stop) }
    func resume() async throws { try await command(.resume) }
    func stayWhenOff() async throws { try await setAction(.pause) }

    func powerOn() async throws {
        try await setAction(.poweroff)
        try await command(.reset)
        // QEMU answers before it has reset, and refuses `cont` until then. Each status query waits for its main loop.
        let deadline = ContinuousClock.now + .seconds(60)
        while try await isOff() {
            guard ContinuousClock.now < deadline else {
                throw Diagnostic(.host, "the machine did not power on", cause: "no reset within a minute")
            }
        }
        try await command(.resume)
    }

    private func setAction(_ action: ShutdownAction) async throws {
        try await command(.setAction, [QMPCommand.Argument.shutdown: .string(action.rawValue)])
    }

    private func isOff() async throws -> Bool {
        do {
            return try await monitor.status() == .shutdown
        } catch let error as QMPError {
            throw Diagnostic(.guest, "the machine does not answer", cause: error.description)
        }
    }

    func save(to folder: String) async throws -> SavedMachine {
        try await dialect.save(monitor, to: folder)
    }

    private func command(_ name: QMPCommand.Name, _ arguments: JSONObject = [:]) async throws {
        do {
            try await monitor.execute(name, arguments)
        } catch let error as QMPError {
            throw Diagnostic(.guest, "the machine did not do \(name.rawValue)", cause: error.description)
        }
    }

    /// The interval between samples of the vCPUs.
    private static let interval = Duration.milliseconds(100)

    /// An idle vCPU's thread sleeps, and a working one is in user code now and then. A kernel in a panic loop does neither,
    /// however little CPU time it gets.
    func showsLife(within time: Duration) async -> Bool {
        let deadline = ContinuousClock.now + time
        var looks = 0
        var rests = 0
        while ContinuousClock.now < deadline {
            looks += 1
            if !ProcessTable().isRunning(processID) { rests += 1 }
            if await dialect.isInProgram(monitor) { return true }
            guard (try? await Task.sleep(for: Self.interval)) != nil else { return false }
        }
        // A single sleep may be a wait for a lock.
        return rests * 2 > looks && ProcessTable().startTime(of: processID) != nil
    }

    func end() async {
        // Detached: a cancelled caller must not cut the teardown short.
        if !isEnding.exchange(true, ordering: .acquiringAndReleasing) {
            Task.detached { [self] in
                await tearDown()
                ended.fulfil()
            }
        }
        await ended.value()
    }

    /// The teardown in steps: quit, kill, remove files. The guest's last output stays readable on its channels.
    private func tearDown() async {
        let begun = ContinuousClock.now
        if child.exitStatus == nil {
            _ = try? await monitor.execute(.quit, timeout: .milliseconds(300))
            _ = try? await withDeadline(.now + .milliseconds(300)) { [child] in try await child.wait() }
            child.kill()
            _ = await child.ended()
        }
        log.debug(
            "process ended",
            metadata: [
                "status": "\(child.exitStatus.map { "\($0)" } ?? "unknown")", "ms": "\(begun.millisecondsAgo)",
            ])
        monitor.close()
        for file in files { try? FileTree.remove(file) }
    }
}
