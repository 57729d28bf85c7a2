import Glibc
import HostSystem
import Synchronization

/// Control groups with the kernel's rules and none of its processes: no processes beside controllers that are passed on, no
/// removal of what is in use, weights only where the group above passes their controller on.
public final class FakeControlGroups: ControlGroupFiles {
    private struct Group {
        var controllers: Set<String>
        var subtree: Set<String> = []
        var processes: Set<String> = []
        var weights: [String: String] = [:]
    }

    private let groups: Mutex<[String: Group]>
    private let isWritable: Bool

    /// One group, `folder`, with these controllers and processes.
    public init(folder: String, controllers: Set<String>, processes: [pid_t], isWritable: Bool = true) {
        self.isWritable = isWritable
        groups = Mutex([folder: Group(controllers: controllers, processes: Set(processes.map { "\($0)" }))])
    }

    /// The groups there are, in order.
    public var paths: [String] { groups.withLock { $0.keys.sorted() } }

    /// The group that a process is in.
    public func group(of processID: pid_t) -> String? {
        groups.withLock { $0.first { $0.value.processes.contains("\(processID)") }?.key }
    }

    /// A process begins in a group.
    public func begin(_ processID: pid_t, in path: String) {
        groups.withLock { _ = $0[path]?.processes.insert("\(processID)") }
    }

    /// A process ends.
    public func end(_ processID: pid_t) {
        groups.withLock { groups in
            for path in groups.keys { groups[path]?.processes.remove("\(processID)") }
        }
    }

    /// As the kernel shows it.
    public func text(_ path: String) -> String? {
        let (folder, file) = Self.split(path)
        return groups.withLock { groups in
            guard let group = groups[folder] else { return nil }
            switch file {
            case "cgroup.controllers": return group.controllers.sorted().joined(separator: " ") + "\n"
            case "cgroup.subtree_control": return group.subtree.sorted().joined(separator: " ") + "\n"
            case "cgroup.procs": return group.processes.sorted().map { $0 + "\n" }.joined()
            default: return group.weights[file]
            }
        }
    }

    /// As the kernel takes it.
    public func write(_ text: String, to path: String) throws(SystemCallError) {
        let (folder, file) = Self.split(path)
        let code = groups.withLock { groups in
            switch file {
            case "cgroup.procs": Self.move(text, to: folder, &groups)
            case "cgroup.subtree_control": Self.pass(text, on: folder, &groups)
            default: Self.weigh(text, file, folder, &groups)
            }
        }
        if code != 0 { throw SystemCallError("write", errno: code, path) }
    }

    /// As the kernel does.
    public func makeGroup(_ path: String) throws(SystemCallError) {
        let code = groups.withLock { groups -> Int32 in
            guard let parent = groups[Self.split(path).folder] else { return ENOENT }
            if groups[path] == nil { groups[path] = Group(controllers: parent.subtree) }
            return 0
        }
        if code != 0 { throw SystemCallError("mkdir", errno: code, path) }
    }

    /// As the kernel does.
    public func removeGroup(_ path: String) throws(SystemCallError) {
        let code = groups.withLock { groups -> Int32 in
            guard let group = groups[path] else { return 0 }
            let isParent = groups.keys.contains { $0.hasPrefix(path + "/") }
            guard group.processes.isEmpty, !isParent else { return EBUSY }
            groups[path] = nil
            return 0
        }
        if code != 0 { throw SystemCallError("rmdir", errno: code, path) }
    }

    /// As told.
    public func mayMakeGroups(in path: String) -> Bool { isWritable }

    private static func split(_ path: String) -> (folder: String, file: String) {
        guard let slash = path.lastIndex(of: "/") else { return ("", path) }
        return (String(path[..<slash]), String(path[path.index(after: slash)...]))
    }

    private static func move(_ process: String, to folder: String, _ groups: inout [String: Group]) -> Int32 {
        guard let group = groups[folder] else { return ENOENT }
        guard group.subtree.isEmpty else { return EBUSY }
        guard groups.values.contains(where: { $0.processes.contains(process) }) else { return ESRCH }
        for path in groups.keys { groups[path]?.processes.remove(process) }
        groups[folder]?.processes.insert(process)
        return 0
    }

    private static func pass(_ text: String, on folder: String, _ groups: inout [String: Group]) -> Int32 {
        guard var group = groups[folder] else { return ENOENT }
        for word in text.split(separator: " ") {
            let controller = String(word.dropFirst())
            if word.hasPrefix("+") {
                guard group.controllers.contains(controller) else { return ENOENT }
                guard group.processes.isEmpty else { return EBUSY }
                group.subtree.insert(controller)
            } else {
                let children = groups.filter { split($0.key).folder == folder }
                guard children.values.allSatisfy({ !$0.subtree.contains(controller) }) else { return EBUSY }
                group.subtree.remove(controller)
            }
        }
        groups[folder] = group
        for path in groups.keys where split(path).folder == folder { groups[path]?.controllers = group.subtree }
        return 0
    }

    private static func weigh(
        _ text: String, _ file: String, _ folder: String, _ groups: inout [String: Group]
    ) -> Int32 {
        let controller = String(file.prefix { $0 != "." })
        guard groups[folder]?.controllers.contains(controller) == true else { return ENOENT }
        groups[folder]?.weights[file] = text
        return 0
    }
}
