import Glibc
import LabTestSupport
import Testing

@testable import HostSystem

@Suite("Host facts")
struct HostFactsTests {
    /// Files of a made-up /proc and /sys/fs/cgroup.
    private func withHost<Result>(
        _ files: [String: String], _ body: (HostFacts) throws -> Result
    ) async throws -> Result {
        try await withHostFiles(files) { folder in
            try body(HostFacts(procRoot: folder + "/proc", cgroupRoot: folder + "/cgroup"))
        }
    }

    /// A folder with files in it, by their paths.
    private func withHostFiles<Result>(
        _ files: [String: String], _ body: (_ folder: String) throws -> Result
    ) async throws -> Result {
        try await withTemporaryFolder { folder in
            for (path, text) in files {
                let whole = "\(folder)/\(path)"
                try FileTree.makeFolder(String(whole[..<(whole.lastIndex(of: "/") ?? whole.endIndex)]))
                let file = try OwnedDescriptor.open(whole, O_WRONLY | O_CREAT)
                let bytes = Array(text.utf8)
                #expect(write(file.number, bytes, bytes.count) == bytes.count)
            }
            return try body(folder)
        }
    }

    @Test("This host has memory, processors and a name")
    func thisHost() throws {
        let facts = HostFacts()
        #expect(facts.totalMemory > 64 << 20)
        #expect(facts.availableMemory > 0 && facts.availableMemory <= facts.totalMemory)
        #expect(facts.usableMemory <= facts.totalMemory)
        #expect(facts.processorCount >= 1)
        #expect(facts.openFileLimit > 0)
        #expect(!facts.kernelRelease.isEmpty && !facts.hostName.isEmpty)
        #expect(try HostFacts.freeSpace(at: "/tmp") > 0)
        #expect(throws: SystemCallError.self) { try HostFacts.freeSpace(at: "/nowhere/at/all") }
    }

    @Test("A processor is what its guests may come to rely on, whatever it does at the moment")
    func processor() async throws {
        #expect(HostFacts().processor.contains("vendor_id"))
        let text = """
            processor\t: 0
            vendor_id\t: AuthenticAMD
            model name\t: AMD EPYC 7B13
            cpu MHz\t\t: 2450.000
            flags\t\t: fpu vme

            processor\t: 1
            vendor_id\t: AuthenticAMD
            """
        try await withHost(["proc/cpuinfo": text]) { facts in
            #expect(facts.processor == "vendor_id AuthenticAMD; model name AMD EPYC 7B13; flags fpu vme")
        }
    }

    @Test("Version 2: the tightest limit of the whole hierarchy counts, less what is used, page cache given back")
    func unified() async throws {
        let files = [
            "proc/meminfo": "MemTotal:  1000 kB\nMemAvailable:   900 kB\n",
            "proc/self/cgroup": "0::/user.slice/run\n",
            "cgroup/cgroup.controllers": "cpu memory\n",
            "cgroup/user.slice/memory.max": "600000\n",
            "cgroup/user.slice/memory.current": "500000\n",
            "cgroup/user.slice/memory.stat": "anon 1\ninactive_file 300000\n",
            "cgroup/user.slice/run/memory.max": "max\n",
            "cgroup/user.slice/run/memory.high": "700000\n",
            "cgroup/user.slice/run/memory.current": "100000\n",
            "cgroup/user.slice/cpu.max": "50000 100000\n",
        ]
        try await withHost(files) { facts in
            #expect(facts.cgroupMemory == 400_000)
            #expect(facts.usableMemory == 400_000)
            #expect(facts.processorCount == 1)
        }
    }

    @Test("Version 1 in a hybrid hierarchy")
    func legacy() async throws {
        let files = [
            "proc/meminfo": "MemTotal:  1000 kB\nMemAvailable:   900 kB\n",
            "proc/self/cgroup": "4:memory:/job\n3:cpu,cpuacct:/job\n0::/\n",
            "cgroup/unified/cgroup.controllers": "",
            "cgroup/memory/job/memory.limit_in_bytes": "9223372036854771712\n",
            "cgroup/memory/job/memory.usage_in_bytes": "5\n",
            "cgroup/memory/memory.limit_in_bytes": "100\n",
            "cgroup/memory/memory.usage_in_bytes": "300\n",
            "cgroup/cpu/job/cpu.cfs_quota_us": "-1\n",
            "cgroup/cpu/job/cpu.cfs_period_us": "100000\n",
        ]
        try await withHost(files) { facts in
            #expect(facts.cgroupMemory == 0)
            #expect(facts.processorCount == HostFacts().processorCount)
        }
    }

    @Test("No limits, or files that make no sense, limit nothing")
    func unlimited() async throws {
        let files = [
            "proc/meminfo": "MemTotal: lots\n", "proc/self/cgroup": "nonsense\n0::/\n", "cgroup/memory.max": "?\n",
        ]
        try await withHost(files) { facts in
            #expect(facts.cgroupMemory == nil)
            #expect(facts.totalMemory == 0)
        }
    }

    @Test("Memory pressure is the worse of the host's and the group's; a kernel without it tells nothing")
    func pressure() async throws {
        let line = { (some: String, full: String) in
            "some avg10=\(some) avg60=0.10 avg300=0.00 total=12\nfull avg10=\(full) avg60=0.00 avg300=0.00 total=3\n"
        }
        let files = [
            "proc/pressure/memory": line("1.50", "1.25"), "proc/self/cgroup": "0::/run\n",
            "cgroup/cgroup.controllers": "memory\n", "cgroup/run/memory.pressure": line("12.00", "0.50"),
        ]
        try await withHost(files) { facts in
            #expect(facts.memoryPressure == MemoryPressure(some: 12, full: 1.25))
        }
        try await withHost(["proc/pressure/memory": "some avg10=3.00\n"]) { facts in
            #expect(facts.memoryPressure == MemoryPressure(some: 3, full: 0))
        }
        try await withHost(["proc/pressure/memory": "nonsense\n"]) { facts in
            #expect(facts.memoryPressure == nil)
        }
    }

    @Test("What a process holds leaves out the files that it shares")
    func heldMemory() async throws {
        let status =
            "Name:\tqemu\nVmRSS:\t  1000 kB\nRssAnon:\t 300 kB\nRssFile:\t 650 kB\nRssShmem:\t  50 kB\nVmPTE:\t 8 kB\n"
            + "VmSwap:\t 4 kB\n"
        try await withTemporaryFolder { folder in
            try FileTree.makeFolder("\(folder)/7")
            try FileTree.makeFolder("\(folder)/8")
            for (path, text) in ["7/status": status, "8/status": "Name:\tkthread\n", "7/oom_score_adj": "600\n"] {
                let file = try OwnedDescriptor.open("\(folder)/\(path)", O_WRONLY | O_CREAT)
                let bytes = Array(text.utf8)
                #expect(write(file.number, bytes, bytes.count) == bytes.count)
            }
            let table = ProcessTable(root: folder)
            #expect(table.heldMemory(of: 7) == 362 * 1024)
            #expect(table.residentMemory(of: 7) == 1000 * 1024)
            #expect(table.heldMemory(of: 8) == nil && table.heldMemory(of: 9) == nil)
            #expect(table.preferAsVictim(7, bias: 500))
            #expect(SmallFile.text("\(folder)/7/oom_score_adj")?.hasPrefix("1000") == true)
            #expect(!table.preferAsVictim(9, bias: 500))
        }
        let own = try #require(ProcessTable().heldMemory(of: getpid()))
        #expect(own > 1 << 20)
    }

    @Test("A child becomes the kernel's preferred victim without privilege")
    func victim() async throws {
        let child = try await ChildProcess.spawn(ChildConfiguration(executable: "/bin/sleep", arguments: ["1000"]))
        #expect(ProcessTable().preferAsVictim(child.processID, bias: 500))
        let own = Int((SmallFile.text("/proc/self/oom_score_adj") ?? "").split(separator: "\n").first ?? "") ?? 0
        #expect(SmallFile.text("/proc/\(child.processID)/oom_score_adj") == "\(min(1000, own + 500))\n")
        child.kill()
        _ = await child.ended()
    }

    @Test("A6: a process that turns in a loop runs, one that waits does not, and one that is gone neither")
    func running() async throws {
        let loop = try await ChildProcess.spawn(
            ChildConfiguration(executable: "/bin/sh", arguments: ["-c", "while :; do :; done"]))
        let wait = try await ChildProcess.spawn(ChildConfiguration(executable: "/bin/sleep", arguments: ["1000"]))
        let table = ProcessTable()
        // Both have to come so far first.
        while !table.isRunning(loop.processID) || table.isRunning(wait.processID) { await Task.yield() }
        #expect(!table.isRunning(.max))
        for child in [loop, wait] {
            child.kill()
            _ = await child.ended()
        }
    }

    @Test("The probe answers within its time; a missing device is told with a remedy")
    func probe() {
        let begin = ContinuousClock.now
        let result = KVMProbe.run()
        #expect(ContinuousClock.now - begin < .seconds(30))
        if case .interpreted(let rate) = result { #expect(rate >= 0 && rate < KVMProbe.hardwareThreshold) }
        guard case .unavailable(let reason, let remedy) = KVMProbe.run(device: "/nowhere/kvm") else {
            Issue.record("there is no such device")
            return
        }
        #expect(reason.contains("/nowhere/kvm"))
        #expect(remedy.contains("kvm_intel"))
        guard case .unavailable = KVMProbe.run(device: "/dev/null") else {
            Issue.record("/dev/null is no KVM")
            return
        }
    }

    @Test(
        "A host that was starved while it was measured is measured again; an interpreter is believed the second time",
        arguments: [
            ([2e9], "hardware", 1), ([1.5e6, 1.5e6, 2e9], "interpreted", 2), ([1.5e6, 2e9], "hardware", 2),
            ([1000, 0, 50_000, 2e9], "hardware", 4), ([1000, 0, 1.5e6, 2e9], "interpreted", 3),
            ([0, 0, 0, 0, 0, 0], "interpreted", 6),
        ] as [([Double], String, Int)])
    func starvedProbe(_ rates: [Double], _ wanted: String, _ measurements: Int) {
        var taken = 0
        let probe = KVMProbe.settled(usesProcessor: false, isTimeLeft: { taken < rates.count }) { limit in
            #expect(limit == 40_000 << max(taken - 1, 0))
            defer { taken += 1 }
            return rates[taken] >= KVMProbe.hardwareThreshold
                ? .hardware(instructionsPerSecond: rates[taken]) : .interpreted(instructionsPerSecond: rates[taken])
        }
        let name = if case .hardware = probe { "hardware" } else { "interpreted" }
        #expect(name == wanted)
        #expect(taken == measurements)
    }

    @Test(
        "Where KVM uses the processor's virtualization, a starved host is taken for no interpreter",
        arguments: [0, 4e5, 1.5e6])
    func starvedHardware(rate: Double) {
        let probe = KVMProbe.settled(usesProcessor: true, isTimeLeft: { true }) { _ in
            .interpreted(instructionsPerSecond: rate)
        }
        #expect(probe == .hardware(instructionsPerSecond: rate))
    }

    @Test(
        "A loaded module tells that KVM uses the processor's virtualization; one that is built in does not",
        arguments: [
            ("kvm_amd/initstate", "live\n", true), ("kvm_intel/initstate", "live\n", true),
            ("kvm_intel/initstate", "coming\n", false), ("kvm_amd/parameters/npt", "Y\n", false),
            ("kvm_pvm/initstate", "live\n", false),
        ] as [(String, String, Bool)])
    func module(file: String, text: String, wanted: Bool) async throws {
        try await withHostFiles(["module/" + file: text]) { folder in
            #expect(KVMProbe.usesProcessor(modules: folder + "/module") == wanted)
        }
    }
}
