import Diagnostics
import Glibc

/// What of the host's files a lab or a script may name: what lies at or below some folders, wherever links lead.
public struct HostAccess: Sendable, Hashable {
    /// The real paths of files and folders; nil opens everything.
    private var roots: [String]?

    /// All that this process may see.
    public static let everything = HostAccess(roots: nil)

    /// What lies at or below these paths; one that does not exist opens nothing.
    public init(to paths: [String]) { self.init(roots: paths.compactMap(FilePath.real)) }

    private init(roots: [String]?) { self.roots = roots }

    /// The same, and what lies at or below another path.
    public func adding(_ path: String) -> HostAccess {
        HostAccess(roots: roots.map { $0 + (FilePath.real(path).map { [$0] } ?? []) })
    }

    /// Why a path cannot be had.
    public enum Refusal: Error, Sendable, Hashable {
        /// It has a NUL byte, which no path of a file has.
        case hasNUL
        /// It leads to a place that is not open; that place.
        case outside(String)
        /// It leads nowhere, or only through what may not be passed; the errno.
        case unreachable(Int32)
    }

    /// The path, without links, of what a path leads to. A path that leads out is refused whether or not something is there.
    public func real(_ path: String) throws(Refusal) -> String {
        if path.utf8.contains(0) { throw .hasNUL }
        if let real = FilePath.real(path) {
            guard isOpen(real) else { throw .outside(real) }
            return real
        }
        let error = errno
        // As far as the path exists.
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
    /// What to do about a path that is not open.
    public static func remedy(_ path: String) -> String {
        "open it with `--allow \(path)`, or everything with `--trust`; see Docs/security.md"
    }

    /// What of this process's own, whose number the next one will not have, is called by all processes.
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
