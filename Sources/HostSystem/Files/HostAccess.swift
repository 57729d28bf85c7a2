import Diagnostics
import Glibc

/// The host's files that a lab or a script may access: those at or below some folders, after resolving links.
public struct HostAccess: Sendable, Hashable {
    /// The real paths of permitted files and folders; nil permits everything.
    private var roots: [String]?

    /// Everything that this process can access.
    public static let everything = HostAccess(roots: nil)

    /// The files at or below these paths; a path that does not exist permits nothing.
    public init(to paths: [String]) { self.init(roots: paths.compactMap(FilePath.real)) }

    private init(roots: [String]?) { self.roots = roots }

    /// This access plus the files at or below another path.
    public func adding(_ path: String) -> HostAccess {
        HostAccess(roots: roots.map { $0 + (FilePath.real(path).map { [$0] } ?? []) })
    }

    /// Why access to a path is refused.
    public enum Refusal: Error, Sendable, Hashable {
        /// It has a NUL byte, which no path of a file has.
        case hasNUL
        /// It resolves to this path, which is not permitted.
        case outside(String)
        /// It cannot be resolved; the errno.
        case unreachable(Int32)
    }

    /// The real path, without links. A path outside is refused whether or not it exists.
    public func real(_ path: String) throws(Refusal) -> String {
        if path.utf8.contains(0) { throw .hasNUL }
        if let real = FilePath.real(path) {
            guard isOpen(real) else { throw .outside(real) }
            return real
        }
        let error = errno
        // The existing part of the path.
        var above = path[...]
        while let slash = above.dropLast().lastIndex(of: "/") {
            above = slash == above.startIndex ? above[...slash] : above[..<slash]
            guard let real = FilePath.real(String(above)) else { continue }
            guard isOpen(real) else { throw .outside(real + path.dropFirst(real == "/" ? 1 : above.count)) }
            break
        }
        throw .unreachable(error)
    }

    private func isOpen(_ real: String) -> Bool {
        guard let roots else { return true }
        return roots.contains { real == $0 || $0 == "/" || real.hasPrefix($0 + "/") }
    }
}

extension HostAccess.Refusal {
    /// The remedy for a path that is not permitted.
    public static func remedy(_ path: String) -> String {
        "open it with `--allow \(path)`, or everything with `--trust`; see Docs/security.md"
    }

    /// A path as messages show it: below this process's own `/proc/PID` as `/proc/self`, because the id changes with each process.
    private static func named(_ real: String) -> String {
        let own = "/proc/\(getpid())/"
        return real.hasPrefix(own) ? "/proc/self/" + real.dropFirst(own.count) : real
    }

    /// As a user reads it; `what` begins the message, such as `the file`.
    public func diagnostic(_ what: String, _ path: String) -> Diagnostic {
        let name = "\(what) \(path.quoted())"
        switch self {
        case .hasNUL: return Diagnostic(.specification, "\(name) has a NUL byte", remedy: "no path has one")
        case .outside(let place):
            let real = Self.named(place)
            return Diagnostic(
                .specification, "\(name) is outside of what may be read here", remedy: Self.remedy(real),
                cause: real == path ? nil : "it leads to \(real.quoted(limit: 200))")
        case .unreachable(let error):
            let reason = SystemCallError("open", errno: error).reason
            return Diagnostic(.specification, "\(name) cannot be read", cause: reason)
        }
    }
}
