import Diagnostics
import Glibc

/// The few file-system calls of this module, each failing as a value.
enum System {
    /// A diagnostic for an errno, with the remedy that fits it.
    static func diagnostic(_ message: String, _ code: Int32) -> Diagnostic {
        let remedy =
            switch code {
            case ENOSPC, EDQUOT: "free some space, or keep the results elsewhere with --out DIR"
            case EACCES, EPERM, EROFS: "choose a place that you may write to with --out DIR"
            case ENOTDIR, EEXIST: "move the file in the way, or choose another place with --out DIR"
            case EMFILE, ENFILE: "raise the limit of open files (ulimit -n)"
            default: "choose another place with --out DIR"
            }
        return Diagnostic(.host, message, remedy: remedy, cause: String(cString: strerror(code)))
    }

    /// Writes all bytes; answers the errno of a failure.
    static func write(_ bytes: [UInt8], to descriptor: Int32) -> Int32? {
        bytes.withUnsafeBytes { raw -> Int32? in
            var done = 0
            while done < raw.count, let base = raw.baseAddress {
                let count = Glibc.write(descriptor, base + done, raw.count - done)
                if count > 0 {
                    done += count
                } else if count < 0, errno == EAGAIN {
                    // A terminal or a pipe that somebody made non-blocking is waited for as any other.
                    var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                    poll(&ready, 1, -1)
                } else if count == 0 || errno != EINTR {
                    return count == 0 ? EIO : errno
                }
            }
            return nil
        }
    }

    /// Makes a folder and those above it; nil when it is there afterwards.
    static func makeFolders(_ path: String) -> Diagnostic? {
        if path.isEmpty || mkdir(path, 0o777) == 0 { return nil }
        var code = errno
        if code == ENOENT, parent(of: path) != path {
            if let error = makeFolders(parent(of: path)) { return error }
            if mkdir(path, 0o777) == 0 { return nil }
            code = errno
        }
        if code == EEXIST, isFolder(path) { return nil }
        return diagnostic("cannot make the folder \(path)", code)
    }

    /// Replaces a file in one step: a reader sees the old or the new content, never half of it.
    static func replace(_ path: String, with bytes: [UInt8]) -> Diagnostic? {
        replace(path) { $0(bytes) }
    }

    /// The same with what `body` puts, piece by piece.
    static func replace(_ path: String, _ body: (_ put: ([UInt8]) -> Void) -> Void) -> Diagnostic? {
        let draft = "\(path).\(getpid()).tmp"
        var writer = FileWriter(.file(draft, append: false))
        body { writer.append($0) }
        writer.close()
        if let failure = writer.failure {
            unlink(draft)
            return Diagnostic(.host, "cannot write \(path)", remedy: failure.remedy, cause: failure.cause)
        }
        guard rename(draft, path) == 0 else {
            let code = errno
            unlink(draft)
            return diagnostic("cannot write \(path)", code)
        }
        return nil
    }

    /// Whether it is a folder, or a link to one.
    static func isFolder(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    /// Whether anything is there, even a broken link.
    static func exists(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0
    }

    /// The folder of a path; `.` for a bare name.
    static func parent(of path: String) -> String {
        var trimmed = path[...]
        while trimmed.count > 1, trimmed.last == "/" { trimmed.removeLast() }
        guard let slash = trimmed.lastIndex(of: "/") else { return "." }
        let folder = trimmed[..<slash]
        return folder.isEmpty ? "/" : String(folder)
    }
}
