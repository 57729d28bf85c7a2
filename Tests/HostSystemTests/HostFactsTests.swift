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
        try await withTemporaryFolder { folder in
            for (path, text) in files {
                let whole = "\(folder)/\(path)"
                try FileTree.makeFolder(String(whole[..<(whole.lastIndex(of: "/") ?? whole.endIndex)]))
                let file = try OwnedDescriptor.open(whole, O_WRONLY | O_CREAT)
                let bytes = Array(text.utf8)
                #expect(write(file.number, bytes, bytes.count) == bytes.count)
            }
            return try body(HostFacts(procRoot: folder + "/proc", cgroupRoot: folder + "/cgroup"))
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

    @Test("The probe answers within its time; a missing device is told with a remedy")
    func probe() {
        let begin = ContinuousClock.now
        let result = KVMProbe.run()
        #expect(ContinuousClock.now - begin < .milliseconds(500))
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
}
