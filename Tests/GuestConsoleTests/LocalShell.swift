import Dispatch
import Glibc
import GuestConsole
import Synchronization

/// A real shell of this host on a pseudo-terminal, arranged as the `debian` image's init arranges the guest's shell.
final class LocalShell: ByteChannel {
    let process: pid_t
    private let descriptor: Int32
    private let wake: (read: Int32, write: Int32)
    private let closed = Mutex(false)
    private let reading = DispatchQueue(label: "read")
    private let writing = DispatchQueue(label: "write")

    /// What the guest's init runs, see `debian-session.sh`; `$1` is the terminal, `$2` the shell.
    static let arrangement = """
        cd /tmp
        exec < $1
        stty raw -echo isig intr ^C quit undef susp undef noflsh
        trap : INT
        {
            trap : INT
            while :; do
                printf '\\nVMLAB READY sh\\n'
                ENV= $2 -c 'trap : INT; . "$1"' sh "$1" < /dev/null
            done
        } 2>&1 | { trap '' INT; exec cat > $1; }
        """

    /// Starts `shell` (a command such as `busybox sh`). Runs `arrangement` in busybox's shell.
    init(_ shell: String, arrangement: String = LocalShell.arrangement) throws {
        // The Glibc module hides posix_openpt and its kin: these are what they do.
        descriptor = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
        var unlocked: Int32 = 0
        var number: UInt32 = 0
        guard descriptor >= 0, ioctl(descriptor, 0x4004_5431, &unlocked) == 0, ioctl(descriptor, 0x8004_5430, &number) == 0
        else { throw SystemError(code: errno) }
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw SystemError(code: errno) }
        wake = (ends[0], ends[1])
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        let terminal = "/dev/pts/\(number)"
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        posix_spawnattr_setflags(&attributes, 0x80 /* POSIX_SPAWN_SETSID */)
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0)
        posix_spawn_file_actions_adddup2(&actions, 0, 1)
        posix_spawn_file_actions_adddup2(&actions, 0, 2)
        defer {
            posix_spawnattr_destroy(&attributes)
            posix_spawn_file_actions_destroy(&actions)
        }
        let words = ["busybox", "sh", "-c", arrangement, "sh", terminal, shell]
        let arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        var pid: pid_t = 0
        let result = posix_spawn(&pid, "/usr/bin/busybox", &actions, &attributes, arguments, environ)
        guard result == 0 else { throw SystemError(code: result) }
        process = pid
    }

    deinit {
        kill(-process, SIGKILL)
        waitpid(process, nil, 0)
        Glibc.close(descriptor)
        Glibc.close(wake.read)
        Glibc.close(wake.write)
    }

    func read() async throws -> [UInt8] {
        try await withCheckedThrowingContinuation { continuation in
            reading.async { [self] in
                guard ready(POLLIN) else { return continuation.resume(returning: []) }
                var buffer = [UInt8](repeating: 0, count: 65536)
                let count = Glibc.read(descriptor, &buffer, buffer.count)
                continuation.resume(returning: Array(buffer.prefix(max(count, 0))))
            }
        }
    }

    func write(_ bytes: [UInt8]) async throws {
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            writing.async { [self] in
                var rest = bytes[...]
                while !rest.isEmpty {
                    guard ready(POLLOUT) else { return continuation.resume(throwing: CancellationError()) }
                    // A terminal takes what it has room for; a blocking write would wait where close() cannot end it.
                    let count = rest.prefix(1024).withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
                    if count < 0 { return continuation.resume(throwing: SystemError(code: errno)) }
                    rest = rest.dropFirst(count)
                }
                continuation.resume()
            }
        }
    }

    func close() {
        let first = closed.withLock { closed in
            defer { closed = true }
            return !closed
        }
        if first { _ = Glibc.write(wake.write, "x", 1) }
    }

    private func ready(_ events: Int32) -> Bool {
        var polls = [
            pollfd(fd: descriptor, events: Int16(events), revents: 0), pollfd(fd: wake.read, events: 1, revents: 0),
        ]
        while poll(&polls, 2, -1) < 0 && errno == EINTR {}
        return polls[1].revents == 0
    }

    struct SystemError: Error {
        var code: Int32
    }

    static func isInstalled(_ program: String) -> Bool { access("/usr/bin/" + program, X_OK) == 0 }
}
