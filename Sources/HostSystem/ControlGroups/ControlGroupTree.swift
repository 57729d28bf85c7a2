import Glibc

/// A group of this process's own with one group in it for each child that gets a share: made by `init`, gone after `close`.
public final class ControlGroupTree: Sendable {
    private let delegation: ControlGroupDelegation
    private let files: any ControlGroupFiles
    /// The group of the groups.
    private let base: String
    /// Where this process and its children went so that their group may pass controllers on; nil where they could stay.
    private let refuge: String?
    private let willMake: @Sendable (String) throws -> Void

    /// Makes the group `name`. `willMake` is told of each group before it is made.
    ///
    /// Throws a `SystemCallError`, or what `willMake` throws; then all is as it was.
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

    /// Puts a process into a group of its own with these weights, 1 to 10000; nil is the usual 100. Weights of controllers
    /// that were not passed on to us are left out.
    ///
    /// Throws what went wrong; the process is where it was then, or has not all of its weights.
    public func add(_ name: String, processID: pid_t, cpuWeight: Int?, ioWeight: Int?) throws {
        let group = "\(base)/\(name)"
        try willMake(group)
        try files.makeGroup(group)
        try files.write("\(processID)", to: "\(group)/cgroup.procs")
        if let cpuWeight, delegation.controllers.contains("cpu") {
            try files.write("\(cpuWeight)", to: "\(group)/cpu.weight")
        }
        if let ioWeight, delegation.controllers.contains("io") {
            // Alone on the line it is the default for all disks.
            try files.write("default \(ioWeight)", to: "\(group)/io.weight")
        }
    }

    /// Removes a process's group. To be called when the process is gone; does nothing while another is in it.
    public func remove(_ name: String) {
        try? files.removeGroup("\(base)/\(name)")
    }

    /// Removes the group and goes back to where this process came from. To be called when all groups in it are removed. Safe
    /// to repeat.
    public func close() {
        try? files.removeGroup(base)
        guard let refuge else { return }
        // In this order: nobody may be in a group that passes controllers on.
        try? files.write(Self.list("-", delegation.missing), to: "\(delegation.folder)/cgroup.subtree_control")
        try? move(from: refuge, to: delegation.folder)
        try? files.removeGroup(refuge)
    }

    /// Leaves the group to those in it. A child that is started meanwhile comes into the way: then again.
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
                // A child that has ended by now need not be moved.
                if error.errno != ESRCH { throw error }
            }
        }
    }

    private static func list(_ sign: String, _ controllers: Set<String>) -> String {
        controllers.sorted().map { sign + $0 }.joined(separator: " ")
    }
}
