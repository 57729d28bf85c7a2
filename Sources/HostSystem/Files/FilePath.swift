import Glibc

/// Paths of the host.
public enum FilePath {
    /// The parent folder of a path; `.` for a bare name.
    public static func folder(of path: String) -> String {
        var trimmed = path[...]
        while trimmed.count > 1, trimmed.last == "/" { trimmed.removeLast() }
        guard let slash = trimmed.lastIndex(of: "/") else { return "." }
        let folder = trimmed[..<slash]
        return folder.isEmpty ? "/" : String(folder)
    }

    /// The real path, without links; nil when it cannot be resolved, with the reason in errno.
    public static func real(_ path: String) -> String? {
        guard let real = realpath(path, nil) else { return nil }
        defer { free(real) }
        return String(validatingCString: real)
    }

    /// The path from the root, for one relative to the working folder.
    public static func absolute(_ path: String) -> String {
        guard !path.hasPrefix("/"), let working = getcwd(nil, 0) else { return path }
        defer { free(working) }
        let folder = String(cString: working)
        return path.isEmpty || path == "." ? folder : folder + "/" + path
    }
}
