import Glibc

/// A control group with one child group for each child process that gets a share; created by `init`, removed by `close`.
public final class ControlGroupTree: Sendable {
    private let delegation: ControlGroupDelegation
    private let files: any ControlGroupFiles
    private let base: String
    /// Where this process and its children were moved, so that their group may delegate controllers; nil where they stayed.
    private let refuge: String?
    private let willMake: @Sendable (String) throws -> Void

    /// Creates the group `name`. `willMake` is called before each group is created. Throws a `SystemCallError`, or what `willMake`
    /// throws; then all changes are undone.
    public init(
        _ delegation: ControlGroupDelegation, name: String, files: some ControlGroupFiles = KernelControlGroupFiles(),
        willMake: @escaping @Sendable (String) throws -> Void
    ) throws {
        self.delegation = delegation
        self.files = files
        self.willMake = willMake
        base = "\(delegation.folder)/\(name)"
        refuge = delegation.missing.isEmpty ? nil : "\(delegation.folder)/\(name)-runner"
        do {
            if let refuge {
                try willMake(refuge)
                try files.makeGroup(refuge)
                try vacate(to: refuge)
            }
            try willMake(base)
            try files.makeGroup(base)
            try files.write(Self.list("+", delegation.controllers), to: "\(base)/cgroup.subtree_control")
        } catch {
            close()
            throw error
        }
    }

    /// Moves a process into its own group with these weights, 1 to 10000; nil is the default of 100. Weights of controllers that
    /// were not delegated to us are skipped. On an error the process stays in its old group or lacks some weights.
    public func add(_ name: String, processID: pid_t, cpuWeight: Int?, ioWeight: Int?) throws {
        let group = "\(base)/\(name)"
        try willMake(group)
        try files.makeGroup(group)
        try files.write("\(processID)", to: "\(group)/cgroup.procs")
        if let cpuWeight, delegation.controllers.contains("cpu") {
            try files.write("\(cpuWeight)", to: "\(group)/cpu.weight")
        }
        if let ioWeight, delegation.controllers.contains("io") {
            // The default for all disks.
            try files.write("default \(ioWeight)", to: "\(group)/io.weight")
        }
    }

    /// Removes the group of an ended process; no effect while another process is in it.
    public func remove(_ name: String) {
        try? files.removeGroup("\(base)/\(name)")
    }

    /// Removes the group and moves this process back. Call it after all child groups were removed. Safe to repeat.
    public func close() {
        try? files.removeGroup(base)
        guard let refuge else { return }
        // In this order: a group that delegates controllers may hold no processes.
        try? files.write(Self.list("-", delegation.missing), to: "\(delegation.folder)/cgroup.subtree_control")
        try? move(from: refuge, to: delegation.folder)
        try? files.removeGroup(refuge)
    }

    /// Moves all processes out of the group. Repeated if a child started meanwhile.
    private func vacate(to refuge: String) throws(SystemCallError) {
        var tries = 5
        while true {
            do throws(SystemCallError) {
                try move(from: delegation.folder, to: refuge)
                return try files.write(
                    Self.list("+", delegation.missing), to: "\(delegation.folder)/cgroup.subtree_control")
            } catch {
                tries -= 1
                guard error.errno == EBUSY, tries > 0 else { throw error }
            }
        }
    }

    private func move(from group: String, to other: String) throws(SystemCallError) {
        for process in ControlGroupDelegation.words(files.text("\(group)/cgroup.procs") ?? "").sorted() {
            do throws(SystemCallError) {
                try files.write(process, to: "\(other)/cgroup.procs")
            } catch {
                // A child that has ended need not be moved.
                if error.errno != ESRCH { throw error }
            }
        }
    }

    private static func list(_ sign: String, _ controllers: Set<String>) -> String {
        controllers.sorted().map { sign + $0 }.joined(separator: " ")
    }
}
