import Diagnostics
import GuestConsole
import HostSystem
import GuestControl
import Synchronization

/// A machine whose guest is a shell process of this host, arranged as in the `debian` image's session: its COM2 speaks the
/// `sh` dialect, its COM1 says what a test has it say, its file system is the host's, and it starts in a folder of its own.
public final class ShellMachine: Machine {
    /// How a shell comes up.
    public enum Boot: Sendable, Hashable {
        /// It greets after so many seconds.
        case after(seconds: Double)
        /// Its kernel starts, and it never greets.
        case never
        /// It never says anything.
        case silent
        /// It dies before it greets.
        case dies
    }

    /// COM1: `kernel.say("Kernel panic - not syncing: …\n")`.
    public let kernel = ScriptedGuest()
    /// The folder that the shell starts in.
    public let directory: String
    /// COM1, which `kernel` speaks on.
    public var console: any ByteChannel { kernel }
    /// COM2, the shell.
    public var commands: any ByteChannel { port }
    /// Its end, and what `report` is given.
    public let events: AsyncStream<MachineEvent>
    /// The session leader's process id.
    public var processID: Int32 { state.withLock { $0.child?.processID ?? 0 } }

    private struct State {
        var child: ChildProcess?
        var isResetting = false
        var hasEnded = false
    }

    private let boot: Boot
    private let shell: String
    /// Stays the same while the terminal behind it changes with each reset.
    private let port = PlayedPort()
    private let sink: AsyncStream<MachineEvent>.Continuation
    private let state = Mutex(State())
    private let gone = Completion<Void>()
    private let onEnd: @Sendable () -> Void

    init(boot: Boot, shell: String, directory: String, onEnd: @escaping @Sendable () -> Void) async throws {
        self.boot = boot
        self.shell = shell
        self.directory = directory
        self.onEnd = onEnd
        (events, sink) = AsyncStream.makeStream()
        try await begin()
    }

    /// What the guest's init runs, see `session.sh`; `$1` is the terminal, `$2` the shell, `$3` the delay.
    private static let session = """
        export TMPDIR="$PWD"
        exec < "$1" 6> "$1"
        stty raw -echo isig intr ^C quit undef susp 254 noflsh
        case $3 in
            dies) exit 7 ;;
            never) while :; do sleep 1000; done ;;
            0.0) ;;
            *) sleep "$3" ;;
        esac
        trap : INT TSTP
        {
            trap : INT TSTP
            while :; do
                printf '\\nVMLAB READY sh\\n'
                ENV= $2 -c 'trap : INT; . "$1"' sh "$1" < /dev/null
            done
        } 2>&1 | { trap '' INT TSTP; exec cat >&6; }
        """

    private func begin() async throws {
        let terminal = try Terminal()
        if boot != .silent { kernel.say("[    0.000000] Linux version shell\n") }
        let delay =
            switch boot {
            case .after(let seconds): "\(seconds)"
            case .never, .silent: "never"
            case .dies: "dies"
            }
        guard let busybox = Tool.find("busybox") else {
            throw Diagnostic(.host, "the program busybox is missing", remedy: "on Debian: `apt-get install busybox`")
        }
        let child = try await ChildProcess.spawn(
            ChildConfiguration(
                executable: busybox, arguments: ["sh", "-c", Self.session, "sh", terminal.path, shell, delay],
                workingDirectory: directory))
        port.connect { try await terminal.write($0) }
        let wasEnded = state.withLock { state in
            state.child = child
            return state.hasEnded
        }
        if wasEnded { child.killGroup() }
        Task.detached { [port] in
            while let bytes = try? await terminal.read(), !bytes.isEmpty { port.say(bytes) }
        }
        Task.detached { [self] in
            let status = await child.ended()
            terminal.close()
            let isOver = state.withLock { $0.hasEnded || !$0.isResetting && $0.child === child }
            guard isOver else { return }
            sink.yield(.exited(status: status.description, standardError: child.standardError))
            sink.finish()
            kernel.close()
            port.close()
            gone.fulfil()
        }
    }

    /// The guest dies: its process and all its children are killed.
    public func die() { state.withLock { $0.child }?.killGroup() }

    /// The guest powers itself off.
    public func powerOff() {
        sink.yield(.shutdown)
        die()
    }

    /// The machine tells of a panic, as by a panic device.
    public func report(_ event: MachineEvent) { sink.yield(event) }

    /// Kills the shell and starts it anew.
    public func reset() async throws {
        let child = state.withLock { state in
            state.isResetting = true
            return state.child
        }
        child?.killGroup()
        _ = await child?.ended()
        sink.yield(.reset)
        try await begin()
        state.withLock { $0.isResetting = false }
    }

    /// Kills the guest and all its processes.
    public func end() async {
        let (first, child) = state.withLock { state in
            defer { state.hasEnded = true }
            return (!state.hasEnded, state.child)
        }
        child?.killGroup()
        await gone.value()
        if first { onEnd() }
    }
}
