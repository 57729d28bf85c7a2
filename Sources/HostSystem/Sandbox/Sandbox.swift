import CLinux
import Glibc

/// Irreversibly drops this process's unneeded rights, so that a guest that breaks out of its devices has no files, no new
/// descriptors, and no other programs.
///
/// The order is: open everything, `confineFiles` on the first thread, start the other threads (landlock applies to threads that a
/// confined thread starts, not to existing ones), then `confineCalls`, which applies to all threads.
public enum Sandbox {
    /// A file or folder that stays accessible.
    public struct Place: Sendable, Hashable {
        /// A folder with all below it, or a file.
        public var path: String
        /// Whether files there may also be created, written and removed.
        public var isWritable: Bool

        /// A place to read from, or to write to as well.
        public init(_ path: String, isWritable: Bool = false) {
            self.path = path
            self.isWritable = isWritable
        }
    }

    /// Restricts the calling thread, and those it starts, to these places of the file system, and denies TCP. Open descriptors are
    /// unaffected.
    ///
    /// Returns the version of landlock; 0 when the kernel has none and nothing is confined. Throws `EBUSY` when there are other
    /// threads, to which it would not apply, and when a place cannot be opened.
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
            // Folder rights are rejected for a file.
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

    /// Restricts all threads to the system calls of `filter`, no core dumps, and at most `openFiles` descriptors.
    ///
    /// A call outside the filter is reported on standard error by its number, and the process exits with status 159.
    /// Throws when the kernel has no seccomp, and `EBUSY` when another thread has a filter of its own.
    public static func confineCalls(_ filter: SystemCallFilter, openFiles: UInt64 = 256) throws(SystemCallError) {
        try limit(RLIMIT_CORE, to: 0)
        try limit(RLIMIT_NOFILE, to: openFiles)
        try forbidNewPrivileges()
        try systemCall("sigaction") { vmlab_explain_trapped_calls() }
        let program = filter.program
        try systemCall("seccomp") { vmlab_filter_calls(program, program.count) }
    }

    /// The number of threads that run code of this process, without the kernel's workers in it (from KVM, since Linux 6.13).
    private static func threadCount() throws(SystemCallError) -> Int {
        try FileTree.names(in: "/proc/self/task").count { thread in
            // A thread that ended meanwhile has no file.
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

    /// Lowers a hard limit; a lower one stays.
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

    /// All rights of this version; each is denied unless granted.
    static func handled(version: Int32) -> FileRights {
        switch version {
        case 1: FileRights(rawValue: (1 << 13) - 1)
        case 2: FileRights(rawValue: (1 << 14) - 1)
        case 3, 4: FileRights(rawValue: (1 << 15) - 1)
        default: FileRights(rawValue: (1 << 16) - 1)
        }
    }
}
