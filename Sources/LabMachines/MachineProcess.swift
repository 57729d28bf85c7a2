import Diagnostics
import Glibc
import GuestConsole
import HostSystem
import Logging
import QMP

/// The process of one machine with its connections: monitor, console, command channel. They are socket pairs whose far ends the
/// child inherits: nothing to bind, poll or clean up, and no byte is lost from the first instruction on.
struct MachineProcess {
    /// The descriptor numbers in every machine's process. Further ones begin at `firstFree`.
    enum Descriptor {
        static let monitor: Int32 = 3
        static let console: Int32 = 4
        static let commands: Int32 = 5
        static let firstFree: Int32 = 6
    }

    /// Why a process did not become a machine.
    enum Failure: Error {
        /// It could not be started.
        case notStarted(SystemCallError)
        /// It exited, with these lines on standard error.
        case ended(status: ChildStatus, lines: [String])
        /// Its monitor did not answer in time; it was killed. The lines are its standard error.
        case silent(lines: [String])
    }

    let child: ChildProcess
    let log: Logger
    let monitor: QMPClient
    let console: any ByteChannel
    let commands: any ByteChannel
    /// The answers to the orders given at the start.
    let answers: [QMPAnswer]

    /// A loaded or itself emulated host may take minutes to start a monitor; an exit is noticed at once.
    fileprivate static let patience = Duration.seconds(300)

    /// The environment variables that a machine's program needs to find its own files; no others are passed.
    private static var environment: [String: String] {
        let names = ["QEMU_MODULE_DIR", "LD_LIBRARY_PATH", "TMPDIR"]
        return Environment.all.filter { names.contains($0.key) }
    }

    /// Starts `executable` and completes the handshake with its monitor.
    ///
    /// `inherited` are further descriptors: the child's number to ours, which stay open until this returns. With `keys`, the
    /// child inherits one more socket under that number: input to the command channel goes there, and output comes from
    /// `commands`. `orders` are the first commands to the monitor. With `hasSmallPages` the machine takes less memory.
    ///
    /// Throws `Failure` or `CancellationError`; the process is then gone.
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
            // A program that is exiting may still write its error message.
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
        /// The socket for typed input, where that is separate from `commands`.
        var keys: StreamSocket?
    }

    /// Spawns the child with the far ends of the sockets; `number` adds a socket for typed input under that number.
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
    /// A diagnostic for a failed start; `what` is the headline, such as `cannot start the guest web`.
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

    /// How a program exited, and its last lines. SIGBUS means that the disk had no room for memory that is backed by a file.
    private static func cause(_ program: String, _ status: ChildStatus, _ lines: [String]) -> String {
        let words = "\(program): \(status)"
        if status == .signalled(SIGBUS) {
            return "\(words), as when no space is left on the disk for the guest's memory"
        }
        return lines.last.map { "\(words): \(reason($0))" } ?? words
    }

    /// A line of standard error without the program's name and the echoed option, which may be a kilobyte of JSON.
    private static func reason(_ line: String) -> String {
        guard let program = line.firstRange(of: ": ") else { return line }
        let rest = line[program.upperBound...]
        guard rest.hasPrefix("-"), rest.split(separator: " ").dropFirst().first?.hasPrefix("{") == true,
            let option = rest.firstRange(of: "}: ")
        else { return String(rest) }
        return String(rest[option.upperBound...])
    }

    /// The usual remedy for these last lines; nil when unknown.
    private static func remedy(for lines: [String]) -> String? {
        let text = lines.joined(separator: "\n")
        if text.contains("Cannot allocate memory") || text.contains("cannot set up guest memory") {
            return "run fewer guests at once or give them less `memory:`"
        }
        if text.contains("No space left") { return "free some disk space, or point TMPDIR at a larger file system" }
        return nil
    }
}
