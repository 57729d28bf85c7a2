import Glibc
import LabTestSupport
import Synchronization
import Testing

@testable import HostSystem

@Suite("Control groups of one's own")
struct ControlGroupTreeTests {
    private let own = "/sys/fs/cgroup/user.slice/run.scope"

    private func find(_ files: FakeControlGroups, in folder: String? = nil) -> Result<
        ControlGroupDelegation, ControlGroupDelegation.Refusal
    > {
        ControlGroupDelegation.find(folder: folder ?? own, files: files) { $0 == 7 || $0 >= 20 }
    }

    @Test("A process alone in its scope steps aside, shares out, and leaves all as it was")
    func wholeLife() throws {
        let files = FakeControlGroups(folder: own, controllers: ["cpu", "io", "memory"], processes: [7, 20])
        let delegation = try find(files).get()
        #expect(delegation.controllers == ["cpu", "io"] && delegation.folder == own)
        #expect(files.paths == [own], "looking changes nothing")
        let made = Mutex<[String]>([])
        let tree = try ControlGroupTree(delegation, name: "vmlab-1", files: files) { path in
            #expect(!files.paths.contains(path), "told before it is made")
            made.withLock { $0.append(path) }
        }
        #expect(files.group(of: 7) == "\(own)/vmlab-1-runner")
        #expect(files.group(of: 20) == "\(own)/vmlab-1-runner", "its child with it")
        files.begin(21, in: "\(own)/vmlab-1-runner")
        try tree.add("guest-a", processID: 20, cpuWeight: 300, ioWeight: 50)
        try tree.add("guest-b", processID: 21, cpuWeight: nil, ioWeight: nil)
        #expect(files.group(of: 20) == "\(own)/vmlab-1/guest-a")
        #expect(files.text("\(own)/vmlab-1/guest-a/cpu.weight") == "300")
        #expect(files.text("\(own)/vmlab-1/guest-a/io.weight") == "default 50")
        #expect(files.group(of: 21) == "\(own)/vmlab-1/guest-b")
        #expect(files.text("\(own)/vmlab-1/guest-b/cpu.weight") == nil)
        #expect(made.withLock { $0 }.sorted() == Array(files.paths.dropFirst()))
        tree.remove("guest-a")
        #expect(files.group(of: 20) != nil, "not while a process is in it")
        for (process, name) in [(pid_t(20), "guest-a"), (21, "guest-b")] {
            files.end(process)
            tree.remove(name)
        }
        tree.close()
        tree.close()
        #expect(files.paths == [own] && files.group(of: 7) == own)
        #expect(files.text("\(own)/cgroup.subtree_control") == "\n")
    }

    @Test("Where the group passes its controllers on already, nobody has to move")
    func enabled() throws {
        let files = FakeControlGroups(folder: own, controllers: ["cpu"], processes: [])
        try files.write("+cpu", to: "\(own)/cgroup.subtree_control")
        files.begin(7, in: own)
        files.begin(8, in: own)
        let tree = try ControlGroupTree(
            find(files).get(), name: "vmlab-1", files: files, willMake: { _ in })
        #expect(files.group(of: 7) == own)
        files.begin(20, in: own)
        try tree.add("guest-a", processID: 20, cpuWeight: 10, ioWeight: 10)
        #expect(files.text("\(own)/vmlab-1/guest-a/cpu.weight") == "10")
        #expect(files.text("\(own)/vmlab-1/guest-a/io.weight") == nil, "that controller is not to be had")
        files.end(20)
        tree.remove("guest-a")
        tree.close()
        #expect(files.text("\(own)/cgroup.subtree_control") == "cpu\n")
    }

    @Test("What cannot be made leaves all as it was")
    func undone() throws {
        struct Stop: Error {}
        let files = FakeControlGroups(folder: own, controllers: ["cpu"], processes: [7])
        #expect(throws: Stop.self) {
            try ControlGroupTree(find(files).get(), name: "vmlab-1", files: files) { path in
                if !path.hasSuffix("-runner") { throw Stop() }
            }
        }
        #expect(files.paths == [own] && files.group(of: 7) == own)
        // What was looked at is not there any more.
        let delegation = ControlGroupDelegation(folder: own, controllers: ["io"], missing: ["io"])
        #expect(throws: SystemCallError.self) {
            try ControlGroupTree(delegation, name: "vmlab-1", files: files, willMake: { _ in })
        }
        #expect(files.paths == [own] && files.group(of: 7) == own)
    }

    @Test("Refusals say why, and what helps")
    func refusals() {
        func refusal(_ files: FakeControlGroups, in folder: String? = nil) -> ControlGroupDelegation.Refusal? {
            if case .failure(let refusal) = find(files, in: folder) { refusal } else { nil }
        }
        let crowded = refusal(FakeControlGroups(folder: own, controllers: ["cpu"], processes: [7, 8]))
        #expect(crowded?.reason.contains("other processes") == true)
        #expect(crowded?.remedy.contains("--scope -p Delegate=yes vmlab run") == true)
        let foreign = refusal(FakeControlGroups(folder: own, controllers: ["cpu"], processes: [7], isWritable: false))
        #expect(foreign?.reason.contains("may not divide") == true)
        let bare = refusal(FakeControlGroups(folder: own, controllers: ["memory"], processes: [7]))
        #expect(bare?.reason.contains("neither the cpu nor the io controller") == true)
        let hybrid = "/sys/fs/cgroup/unified"
        let old = refusal(FakeControlGroups(folder: hybrid, controllers: [], processes: [7]), in: hybrid)
        #expect(old?.remedy.contains("unified_cgroup_hierarchy") == true)
        #expect(refusal(FakeControlGroups(folder: "/elsewhere", controllers: [], processes: []))?.reason != nil)
    }

    @Test("A child that is to yield does so with all its threads, in its session too")
    func priority() async throws {
        let child = try await ChildProcess.spawn(ChildConfiguration(executable: "/bin/sleep", arguments: ["1000"]))
        await ProcessTable().lowerPriority(ofGroup: child.processID, nice: 7)
        #expect(getpriority(__priority_which_t(PRIO_PROCESS.rawValue), id_t(child.processID)) == 7)
        if let session = SmallFile.text("/proc/\(child.processID)/autogroup"), session.hasPrefix("/autogroup") {
            #expect(session.hasSuffix(" nice 7\n"))
        }
        child.kill()
        _ = await child.ended()
        await ProcessTable().lowerPriority(ofGroup: child.processID, nice: 7)
    }
}
