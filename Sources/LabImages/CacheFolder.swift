import Glibc
import HostSystem

/// What the stores in the cache's folder have in common.
enum CacheFolder {
    /// Removes some of a folder's entries and returns the bytes freed. What cannot be removed stays for the next time.
    @discardableResult
    static func remove(in folder: String, where isUnwanted: (String) -> Bool) -> UInt64 {
        var freed: UInt64 = 0
        for name in (try? FileTree.names(in: folder)) ?? [] where isUnwanted(name) {
            freed += remove("\(folder)/\(name)") ?? 0
        }
        return freed
    }

    /// Removes a file or folder and returns the bytes freed; nil when it cannot be removed.
    static func remove(_ path: String) -> UInt64? {
        let space = FileTree.space(of: path)
        return (try? FileTree.remove(path)) == nil ? nil : space
    }

    /// Puts a finished folder in its place in one step. What is there goes to `aside` first.
    static func publish(_ built: String, as folder: String, aside: String) throws(SystemCallError) {
        if rename(folder, aside) != 0 && errno != ENOENT { throw SystemCallError("rename", folder) }
        if rename(built, folder) != 0 { throw SystemCallError("rename", folder) }
    }
}

extension OwnedDescriptor {
    /// Takes an advisory lock, `LOCK_EX` or `LOCK_SH`, if it is free. It goes with the descriptor.
    borrowing func tryLock(_ kind: Int32, _ path: String) throws(SystemCallError) -> Bool {
        guard flock(number, kind | LOCK_NB) != 0 else { return true }
        guard errno == EWOULDBLOCK else { throw SystemCallError("flock", path) }
        return false
    }

    /// Whether this file is the one at `path`: another may have been put there, or it may have been removed, between opening
    /// and locking it.
    borrowing func isStill(at path: String) -> Bool {
        var own = stat()
        var there = stat()
        return fstat(number, &own) == 0 && stat(path, &there) == 0 && own.st_ino == there.st_ino
            && own.st_dev == there.st_dev
    }
}
