import Diagnostics
import Glibc
import GuestConsole
import HostSystem
import Logging
import QMP

/// The process of one machine with its connections: monitor, console, command channel.
///
/// They are socket pairs of which the child inherits its ends: nothing to bind, to poll for or to clean up, and the machine
/// writes to them from its first instruction, so not a byte is lost.
struct MachineProcess {
    /// The numbers under which every machine inherits its ends. Others begin at `firstFree`.
    enum Descriptor {
        static let monitor: Int32 = 3
        static let console: Int32 = 4
        static let commands: Int32 = 5
        static let firstFree: Int32 = 6
    }

    /// Why a process did not become a machine.
    enum Failure: Error {
        /// It could not even be started.
        case notStarted(SystemCallError)
        /// It ended, and said this.
        case ended(status: ChildStatus, lines: [String])
        /// Its monitor did not answer in time. It said this, and was killed.
        case silent(lines: [String])
    }

    let child: ChildProcess
    let log: Logger
    let monitor: QMPClient
    let console: any ByteChannel
    let commands: any ByteChannel
    /// The answers to what its monitor was told from the beginning.
    let answers: [QMPAnswer]

    /// A loaded host may take minutes to run a monitor's start-up code, above all one that is emulated itself; its end is
    /// noticed at once.
    fileprivate static let patience = Duration.seconds(300)

    /// What a machine's program sees of our environment: where it finds its own files. Nothing else is its business.
    private static var environment: [String: String] {
        let names = ["QEMU_MODULE_DIR", "LD_LIBRARY_PATH", "TMPDIR"]
        return Environment.all.filter { names.contains($0.key) }
    }

    /// Starts `executable` and shakes hands with its monitor.
    ///
    /// `inherited` are further descriptors: the child's number to ours, which stay open until this returns. With `keys`, the
    /// child inherits one more socket under that number: what is written to the command channel goes there, and the answers
    /// come from `commands`. Its monitor is told `orders` before anything else. With `hasSmallPages` it takes less memory. Throws `Failure` or `CancellationError`; nothing is left of the process then.
    static func start(
        _ executable: String, _ arguments: [String], log: Logger, inherited: [Int32: Int32] = [:],
        keys: Int32? = nil, orders: [QMPCommand] = [], hasSmallPages: Bool = false
    ) async throws -> MachineProcess {
        let begun = ContinuousClock.now
        let child: ChildProcess
        let sockets: Sockets
        do throws(SystemCallError) {
            let configuration = ChildConfiguration(
                executable: executable, arguments: arguments, environment: environment, workingDirectory: "/",
                inherited: inherited, hasSmallPages: hasSmallPages, isUnprivileged: true)
            (child, sockets) = try await spawn(configuration, keys: keys)
        } catch {
            throw Failure.notStarted(error)
        }
        log.debug(
            "process started",
            metadata: ["program": "\(executable)", "pid": "\(child.processID)", "ms": "\(begun.millisecondsAgo)"])
        log.trace("command line: \(arguments.joined(separator: " "))")
        let monitor = QMPClient(sockets.monitor, log: log)
        let answers: [QMPAnswer]
        do {
            answers = try await monitor.handshake(timeout: patience, then: orders)
        } catch {
            // Let it finish its last words when it is dying by itself.
            if error as? QMPError == .closed {
                _ = try? await withDeadline(.now + .seconds(2)) { try await child.wait() }
            }
            child.kill()
            let status = await child.ended()
            log.debug("process is no machine", metadata: ["status": "\(status)", "said": "\(child.standardError)"])
            monitor.close()
            if error is CancellationError { throw error }
            if case QMPError.silent = error { throw Failure.silent(lines: child.standardError) }
            throw Failure.ended(status: status, lines: child.standardError)
        }
        let commands: any ByteChannel =
            sockets.keys.map { TerminalChannel(screen: sockets.commands, keys: $0) } ?? sockets.commands
        return MachineProcess(
            child: child, log: log, monitor: monitor, console: sockets.console, commands: commands, answers: answers)
    }

    private struct Sockets {
        let monitor: StreamSocket
        let console: StreamSocket
        let commands: StreamSocket
        /// Where keys are typed that are not typed to `commands`.
        var keys: StreamSocket?
    }

    /// The child, which inherits the other ends; with `number`, of a socket more for keys, under this one.
    private static func spawn(
        _ configuration: ChildConfiguration, keys number: Int32?
    ) async throws(SystemCallError) -> (ChildProcess, Sockets) {
        let monitor = try DescriptorPair.socketPair()
        let console = try DescriptorPair.socketPair()
        let commands = try DescriptorPair.socketPair()
        var keys: DescriptorPair?
        var configuration = configuration
        configuration.inherited[Descriptor.monitor] = monitor.second.number
        configuration.inherited[Descriptor.console] = console.second.number
        configuration.inherited[Descriptor.commands] = commands.second.number
        if let number {
            let pair = try DescriptorPair.socketPair()
            configuration.inherited[number] = pair.second.number
            keys = consume pair
        }
        let child = try await ChildProcess.spawn(configuration)
        do throws(SystemCallError) {
            var sockets = Sockets(
                monitor: try StreamSocket(owning: monitor.first), console: try StreamSocket(owning: console.first),
                commands: try StreamSocket(owning: commands.first))
            if let pair = consume keys { sockets.keys = try StreamSocket(owning: pair.first) }
            return (child, sockets)
        } catch {
            child.kill()
            _ = await child.ended()
            throw error
        }
    }
}

extension MachineProcess.Failure {
    /// What is said of it: `what` did not work, such as `cannot start the guest web`.
    func diagnostic(_ what: String, of program: String) -> Diagnostic {
        switch self {
        case .notStarted(let error): error.diagnostic(what)
        case .silent(let lines):
            Diagnostic(
                .host, what, remedy: "run fewer guests at once: this host is too busy to start another",
                cause: "\(program) did not answer within \(MachineProcess.patience), and was killed",
                notes: Array(lines.suffix(8)))
        case .ended(let status, let lines):
            Diagnostic(
                .host, what, remedy: Self.remedy(for: lines), cause: Self.cause(program, status, lines),
                notes: Array(lines.suffix(8)))
        }
    }

    /// How a program ended, in words, and what it said last. Linux ends one so that writes to memory for whose file the disk
    /// has no room.
    private static func cause(_ program: String, _ status: ChildStatus, _ lines: [String]) -> String {
        let words = "\(program): \(status)"
        if status == .signalled(SIGBUS) {
            return "\(words), as when no space is left on the disk for the guest's memory"
        }
        return lines.last.map { "\(words): \(reason($0))" } ?? words
    }

    /// A line of standard error without the name of its program and the option that it repeats, which may be a kilobyte of JSON.
    private static func reason(_ line: String) -> String {
        guard let program = line.firstRange(of: ": ") else { return line }
        let rest = line[program.upperBound...]
        guard rest.hasPrefix("-"), rest.split(separator: " ").dropFirst().first?.hasPrefix("{") == true,
            let option = rest.firstRange(of: "}: ")
        else { return String(rest) }
        return String(rest[option.upperBound...])
    }

    /// What usually helps, from the process's last words; nil when that is not known.
    private static func remedy(for lines: [String]) -> String? {
        let text = lines.joined(separator: "\n")
        if text.contains("Cannot allocate memory") || text.contains("cannot set up guest memory") {
            return "run fewer guests at once or give them less `memory:`"
        }
        if text.contains("No space left") { return "free some disk space, or point TMPDIR at a larger file system" }
        return nil
    }
}
