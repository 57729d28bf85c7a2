import Glibc

/// An advisory lock on a file, held until its owner is released or the process ends.
public struct FileLock: ~Copyable {
    private let file: OwnedDescriptor

    /// Takes the lock, creating the file if missing. If another process holds it, calls `busy` once with that process's id, if
    /// known, and waits; a cancelled wait throws `CancellationError` at once.
    public static func acquire(_ path: String, busy: (pid_t?) -> Void = { _ in }) async throws -> FileLock {
        if let lock = try tryAcquire(path) { return lock }
        busy(SmallFile.text(path).flatMap { pid_t($0) })
        while true {
            let file = try await waited(for: path)
            if file.isStill(at: path) { return FileLock(signing: file) }
        }
    }

    /// The file at that path, locked. Its previous holder may have removed it meanwhile.
    private static func waited(for path: String) async throws -> OwnedDescriptor {
        let file = try OwnedDescriptor.open(path, O_RDWR | O_CREAT, mode: 0o644)
        // flock can only block, so it gets a thread outside Swift's pool, with a duplicate descriptor of the same open file:
        // closing the last of the two releases the lock, also when no task waits for it any more.
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

    /// Takes the lock if it is free; nil otherwise.
    public static func tryAcquire(_ path: String) throws(SystemCallError) -> FileLock? {
        while true {
            let file = try OwnedDescriptor.open(path, O_RDWR | O_CREAT, mode: 0o644)
            guard try file.tryLock(LOCK_EX, path) else { return nil }
            if file.isStill(at: path) { return FileLock(signing: file) }
        }
    }

    /// Releases the lock. Call it explicitly: Swift would otherwise release the owner after its last use.
    public borrowing func release() {
        _ = flock(file.number, LOCK_UN)
    }

    /// Removes the lock file and releases the lock. Waiting processes notice and create a new one.
    public borrowing func release(removing path: String) {
        unlink(path)
        release()
    }

    /// Writes our process id into the file, as information for waiting processes. Failures are ignored.
    private init(signing file: consuming OwnedDescriptor) {
        let id = Array(String(getpid()).utf8)
        _ = ftruncate(file.number, 0)
        try? writeAll(file.number, id[...], at: 0)
        self.file = file
    }
}

extension OwnedDescriptor {
    /// Takes an advisory lock, `LOCK_EX` or `LOCK_SH`, if it is free. Closing the descriptor releases it.
    public borrowing func tryLock(_ kind: Int32, _ path: String) throws(SystemCallError) -> Bool {
        guard flock(number, kind | LOCK_NB) != 0 else { return true }
        guard errno == EWOULDBLOCK else { throw SystemCallError("flock", path) }
        return false
    }

    /// Whether this file is still the one at `path`: it may have been replaced or removed between opening and locking.
    public borrowing func isStill(at path: String) -> Bool {
        guard let own = try? status(), let there = FileStamp(path) else { return false }
        return own.st_ino == there.inode && own.st_dev == there.device
    }
}
