import CLinux
import Glibc

/// Takes from this process what it needs no more, so that a guest who breaks out of its devices finds little: no files, no
/// new descriptors, no other programs. Nothing of it can be undone.
///
/// The order is: open everything, `confineFiles` on the first thread, start the other threads (landlock holds for the
/// threads that a confined thread starts, not for its elders), then `confineCalls`, which holds for all threads.
public enum Sandbox {
    /// A file or folder that stays within reach.
    public struct Place: Sendable, Hashable {
        /// A folder with all below it, or a file.
        public var path: String
        /// Whether files there may be made, written and removed too.
        public var isWritable: Bool

        /// A place to read from, or to write to as well.
        public init(_ path: String, isWritable: Bool = false) {
            self.path = path
            self.isWritable = isWritable
        }
    }

    /// Leaves the calling thread, and those that it starts, only these places of the file system, and no TCP. Descriptors
    /// that are open stay as they are.
    ///
    /// Returns the version of landlock; 0 says that this kernel has none and that nothing is confined. Throws `EBUSY` when
    /// there are other threads, for which it would not hold, and when a place cannot be opened.
    public static func confineFiles(to places: [Place]) throws(SystemCallError) -> Int {
        guard try threadCount() == 1 else { throw SystemCallError("landlock_restrict_self", errno: EBUSY, "threads") }
        let version = vmlab_landlock_version()
        guard version > 0 else { return 0 }
        let handled = FileRights.handled(version: version)
        let tcp: UInt64 = version >= 4 ? 0b11 : 0
        let rules = OwnedDescriptor(
            owning: try systemCall("landlock_create_ruleset") { vmlab_landlock_rules(handled.rawValue, tcp) })
        for place in places {
            let descriptor = try OwnedDescriptor.open(place.path, 0o10000000)  // O_PATH
            let status = try descriptor.status(place.path)
            var rights: FileRights = place.isWritable ? [.reading, .writing] : .reading
            // A right over folders is refused for a file.
            if status.st_mode & S_IFMT != S_IFDIR { rights.formIntersection(.ofFiles) }
            rights.formIntersection(handled)
            try systemCall("landlock_add_rule", place.path) {
                vmlab_landlock_allow(rules.number, descriptor.number, rights.rawValue)
            }
        }
        try forbidNewPrivileges()
        try systemCall("landlock_restrict_self") { vmlab_landlock_enter(rules.number) }
        return Int(version)
    }

    /// Leaves all threads only the system calls of `filter`, no core dumps, and at most `openFiles` descriptors.
    ///
    /// A call that is not in it is told on standard error by its number, and the process exits with status 159.
    /// Throws when the kernel has no seccomp, and `EBUSY` when another thread has a filter of its own.
    public static func confineCalls(_ filter: SystemCallFilter, openFiles: UInt64 = 256) throws(SystemCallError) {
        try limit(RLIMIT_CORE, to: 0)
        try limit(RLIMIT_NOFILE, to: openFiles)
        try forbidNewPrivileges()
        try systemCall("sigaction") { vmlab_explain_trapped_calls() }
        let program = filter.program
        try systemCall("seccomp") { vmlab_filter_calls(program, program.count) }
    }

    /// Threads that run code of this process. Threads that the kernel adds to it for work of its own (KVM does so, from
    /// Linux 6.13 on) run none.
    private static func threadCount() throws(SystemCallError) -> Int {
        try FileTree.names(in: "/proc/self/task").count { thread in
            // One that has ended meanwhile has no file any more.
            SmallFile.text("/proc/self/task/\(thread)/stat").map { !isKernelWorker($0) } ?? false
        }
    }

    /// Whether this is the `stat` file in /proc of a thread with `PF_USER_WORKER` or `PF_IO_WORKER` among its flags, the
    /// seventh word behind the name in parentheses (proc(5), linux/sched.h).
    static func isKernelWorker(_ stat: String) -> Bool {
        let words = stat[(stat.lastIndex(of: ")") ?? stat.startIndex)...].split(separator: " ")
        guard words.count > 7, let flags = UInt32(words[7]) else { return false }
        return flags & (0x4000 | 0x10) != 0
    }

    private static func forbidNewPrivileges() throws(SystemCallError) {
        try systemCall("prctl") { vmlab_forbid_new_privileges() }
    }

    /// Lowers a limit for good; one that is lower stays.
    private static func limit(_ resource: __rlimit_resource, to value: UInt64) throws(SystemCallError) {
        var limits = rlimit()
        let number = Int32(bitPattern: resource.rawValue)
        try systemCall("getrlimit") { getrlimit(number, &limits) }
        limits.rlim_max = min(limits.rlim_max, rlim_t(value))
        limits.rlim_cur = min(limits.rlim_cur, limits.rlim_max)
        try systemCall("setrlimit") { setrlimit(number, &limits) }
    }
}

/// Landlock's rights over files (linux/landlock.h).
private struct FileRights: OptionSet {
    let rawValue: UInt64

    private static let execute = FileRights(rawValue: 1 << 0)
    private static let writeFile = FileRights(rawValue: 1 << 1)
    private static let readFile = FileRights(rawValue: 1 << 2)
    private static let readFolder = FileRights(rawValue: 1 << 3)
    private static let removeFile = FileRights(rawValue: 1 << 5)
    private static let makeFile = FileRights(rawValue: 1 << 8)
    private static let truncate = FileRights(rawValue: 1 << 14)
    private static let deviceRequest = FileRights(rawValue: 1 << 15)

    static let reading: FileRights = [.readFile, .readFolder]
    static let writing: FileRights = [.writeFile, .removeFile, .makeFile, .truncate]
    static let ofFiles: FileRights = [.execute, .writeFile, .readFile, .truncate, .deviceRequest]

    /// All rights that this version knows, each of which is taken away where it is not given.
    static func handled(version: Int32) -> FileRights {
        switch version {
        case 1: FileRights(rawValue: (1 << 13) - 1)
        case 2: FileRights(rawValue: (1 << 14) - 1)
        case 3, 4: FileRights(rawValue: (1 << 15) - 1)
        default: FileRights(rawValue: (1 << 16) - 1)
        }
    }
}
