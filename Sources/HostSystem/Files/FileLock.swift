import Glibc

/// An advisory lock on a file, held until its owner goes or the process ends, however it ends.
public struct FileLock: ~Copyable {
    private let file: OwnedDescriptor

    /// Takes the lock, making the file when it is missing. When another holds it, calls `busy` once with that process's
    /// id, if it is known, and waits; a cancelled wait throws `CancellationError` at once.
    public static func acquire(_ path: String, busy: (pid_t?) -> Void = { _ in }) async throws -> FileLock {
        if let lock = try tryAcquire(path) { return lock }
        busy(SmallFile.text(path).flatMap { pid_t($0) })
        while true {
            let file = try await waited(for: path)
            if file.isStill(at: path) { return FileLock(signing: file) }
        }
    }

    /// The file at that path, locked. It may have been removed meanwhile by who had it.
    private static func waited(for path: String) async throws -> OwnedDescriptor {
        let file = try OwnedDescriptor.open(path, O_RDWR | O_CREAT, mode: 0o644)
        // flock cannot be waited for otherwise, so it gets a thread, none of Swift's, with a descriptor of its own for the same
        // open file: whichever of the two is closed last lets the lock go, also when nobody waits for it any more.
        let second = fcntl(file.number, F_DUPFD_CLOEXEC, 3)
        guard second >= 0 else { throw SystemCallError("fcntl", path) }
        let locked = Completion<Void>()
        do {
            _ = try HostThread("vmlab-lock", stack: 64 << 10) {
                let file = OwnedDescriptor(owning: second)
                while flock(file.number, LOCK_EX) != 0 && errno == EINTR {}
                locked.fulfil()
            }
        } catch {
            close(second)
            throw error
        }
        _ = try await locked.wait()
        return file
    }

    /// Takes the lock if nobody has it; nil when somebody has.
    public static func tryAcquire(_ path: String) throws(SystemCallError) -> FileLock? {
        while true {
            let file = try OwnedDescriptor.open(path, O_RDWR | O_CREAT, mode: 0o644)
            guard try file.tryLock(LOCK_EX, path) else { return nil }
            if file.isStill(at: path) { return FileLock(signing: file) }
        }
    }

    /// Lets the lock go. Written out where it is held, because its owner would otherwise go after its last use.
    public borrowing func release() {
        _ = flock(file.number, LOCK_UN)
    }

    /// Lets the lock go for good: what it was about is gone. Those who wait for it find out and take a new one.
    public borrowing func release(removing path: String) {
        unlink(path)
        release()
    }

    /// Writes our id into the file, for those who wait. Only a courtesy, so failures are dropped.
    private init(signing file: consuming OwnedDescriptor) {
        let id = Array(String(getpid()).utf8)
        _ = ftruncate(file.number, 0)
        try? writeAll(file.number, id[...], at: 0)
        self.file = file
    }
}

extension OwnedDescriptor {
    /// Takes an advisory lock, `LOCK_EX` or `LOCK_SH`, if it is free. It goes with the descriptor.
    public borrowing func tryLock(_ kind: Int32, _ path: String) throws(SystemCallError) -> Bool {
        guard flock(number, kind | LOCK_NB) != 0 else { return true }
        guard errno == EWOULDBLOCK else { throw SystemCallError("flock", path) }
        return false
    }

    /// Whether this file is the one at `path`: another may have been put there, or it may have been removed, between opening
    /// and locking it.
    public borrowing func isStill(at path: String) -> Bool {
        guard let own = try? status(), let there = FileStamp(path) else { return false }
        return own.st_ino == there.inode && own.st_dev == there.device
    }
}
