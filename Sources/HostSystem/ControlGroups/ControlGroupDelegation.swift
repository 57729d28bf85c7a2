import Glibc

/// This process's delegated control group (version 2), with which it distributes CPU and I/O among its children.
public struct ControlGroupDelegation: Sendable, Hashable {
    /// Why there is no delegation, and the remedy.
    public struct Refusal: Error, Sendable, Hashable {
        /// The reason, such as `the control group /sys/fs/cgroup/user.slice belongs to another user`.
        public var reason: String
        /// What the user can do.
        public var remedy: String
    }

    /// This process's own group.
    public let folder: String
    /// The controllers that it can delegate, of `cpu` and `io`.
    public let controllers: Set<String>
    /// Those that it must enable first, which requires that the group itself has no processes.
    let missing: Set<String>

    static let wanted: Set<String> = ["cpu", "io"]

    /// Inspects the host without changing it.
    public static func find(
        procRoot: String = "/proc", cgroupRoot: String = "/sys/fs/cgroup",
        files: some ControlGroupFiles = KernelControlGroupFiles()
    ) -> Result<ControlGroupDelegation, Refusal> {
        guard let folder = ControlGroups(procRoot: procRoot, cgroupRoot: cgroupRoot).ownFolder else {
            return .failure(Refusal(reason: "this host has no control groups v2", remedy: unified))
        }
        let own = getpid()
        let table = ProcessTable(root: procRoot)
        return find(folder: folder, files: files) { $0 == own || table.parent(of: $0) == own }
    }

    /// As `find`, for a process in this group. `isOurs` distinguishes it and its children from others.
    static func find(
        folder: String, files: some ControlGroupFiles, isOurs: (pid_t) -> Bool
    ) -> Result<ControlGroupDelegation, Refusal> {
        guard let listed = files.text("\(folder)/cgroup.controllers") else {
            return .failure(Refusal(reason: "this host has no control groups v2", remedy: unified))
        }
        let controllers = wanted.intersection(words(listed))
        guard !controllers.isEmpty else {
            return .failure(
                Refusal(
                    reason: "the control group \(folder) has neither the cpu nor the io controller",
                    // A hybrid hierarchy: the controllers are in version 1.
                    remedy: folder.contains("/unified") ? unified : ownScope))
        }
        guard files.mayMakeGroups(in: folder) else {
            return .failure(
                Refusal(reason: "this user may not divide the control group \(folder)", remedy: ownScope))
        }
        let missing = controllers.subtracting(words(files.text("\(folder)/cgroup.subtree_control") ?? ""))
        let others = words(files.text("\(folder)/cgroup.procs") ?? "").filter { pid_t($0).map(isOurs) != true }
        // Only groups without processes can delegate controllers, and other users' processes must not be moved.
        guard missing.isEmpty || others.isEmpty else {
            return .failure(
                Refusal(reason: "other processes are in the control group \(folder) too", remedy: ownScope))
        }
        return .success(ControlGroupDelegation(folder: folder, controllers: controllers, missing: missing))
    }

    static func words(_ text: String) -> Set<String> {
        Set(text.split { $0 == " " || $0 == "\n" }.map(String.init))
    }

    private static var ownScope: String {
        "run vmlab in a scope of its own: `systemd-run \(geteuid() == 0 ? "" : "--user ")--scope -p Delegate=yes vmlab run …`"
    }

    private static let unified = "boot the host with `systemd.unified_cgroup_hierarchy=1` on its kernel's command line"
}
