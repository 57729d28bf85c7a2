import Foundation
import Glibc
import GuestConsole

/// A real shell of this host on a pseudo-terminal, arranged as the `debian` image's init arranges the guest's shell.
final class LocalShell: ByteChannel {
    let process: pid_t
    private let terminal: DescriptorChannel
    /// Where its session keeps its files.
    private let folder = FileManager.default.temporaryDirectory.appendingPathComponent("shell-\(UUID())")

    /// What the guest's init runs, see `session.sh`; `$1` is the terminal, `$2` the shell.
    static let arrangement = """
        cd /tmp
        exec < $1 6> $1
        stty raw -echo isig intr ^C quit undef susp 254 noflsh
        trap : INT TSTP
        {
            trap : INT TSTP
            while :; do
                printf '\\nVMLAB READY sh\\n'
                # bash reads a file to its end before it runs any of it, but its standard input line by line.
                case $2 in
                    bash) ENV= $2 < $1 ;;
                    *) ENV= $2 -c 'trap : INT; . "$1"' sh "$1" < /dev/null ;;
                esac
            done
        } 2>&1 | { trap '' INT TSTP; exec cat >&6; }
        """

    /// Starts `shell` (a command such as `busybox sh`). Runs `arrangement` in busybox's shell.
    init(_ shell: String, arrangement: String = LocalShell.arrangement) throws {
        // The Glibc module hides posix_openpt and its kin: these are what they do.
        let descriptor = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
        var unlocked: Int32 = 0
        var number: UInt32 = 0
        guard descriptor >= 0, ioctl(descriptor, 0x4004_5431, &unlocked) == 0,
            ioctl(descriptor, 0x8004_5430, &number) == 0
        else { throw DescriptorChannel.SystemError(code: errno) }
        terminal = try DescriptorChannel(descriptor)
        let path = "/dev/pts/\(number)"
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        // POSIX_SPAWN_SETSID, and the signals as a login has them: Dispatch's threads block them all.
        posix_spawnattr_setflags(&attributes, 0x80 | Int16(POSIX_SPAWN_SETSIGMASK) | Int16(POSIX_SPAWN_SETSIGDEF))
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0)
        posix_spawn_file_actions_adddup2(&actions, 0, 1)
        posix_spawn_file_actions_adddup2(&actions, 0, 2)
        defer {
            posix_spawnattr_destroy(&attributes)
            posix_spawn_file_actions_destroy(&actions)
        }
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let begin = "export TMPDIR='\(folder.path)'\n"
        let words = ["busybox", "sh", "-c", begin + arrangement, "sh", path, shell]
        let arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        var pid: pid_t = 0
        let result = posix_spawn(&pid, "/usr/bin/busybox", &actions, &attributes, arguments, environ)
        guard result == 0 else { throw DescriptorChannel.SystemError(code: result) }
        process = pid
    }

    deinit {
        kill(-process, SIGKILL)
        waitpid(process, nil, 0)
        try? FileManager.default.removeItem(at: folder)
    }

    func read() async throws -> [UInt8] { try await terminal.read() }
    func write(_ bytes: [UInt8]) async throws { try await terminal.write(bytes) }
    func close() { terminal.close() }

    static func isInstalled(_ program: String) -> Bool { access("/usr/bin/" + program, X_OK) == 0 }
}
