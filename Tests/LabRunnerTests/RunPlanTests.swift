import Diagnostics
import LabTestSupport
import Quantities
import Testing

@testable import LabSpec

@Suite("Plans of runs")
struct RunPlanTests {
    private func problems(_ lab: TestLab) -> [String] {
        do {
            _ = try lab.plan()
            return []
        } catch {
            return (error as? DiagnosticList)?.all.map(\.message) ?? ["\(error)"]
        }
    }

    @Test("every reason at once: too large, too small, peers that cannot fit, targets that overlap")
    func everything() {
        var lab = TestLab(
            groups: [
                group("big", memory: .gibibytes(20)), group("tiny", memory: ByteCount(1000)),
                group("peer", count: 4, memory: .gibibytes(4)).on("lan"), group("g"),
            ],
            tasks: [
                LabTask(name: "t", targets: [.every(["peer-1"]), .any(["peer-1", "peer-2"])], action: .run("true"))
            ], limit: .gibibytes(10), backend: ShellBackend(overhead: .gibibytes(1)))
        lab.networks = [NetworkSpec(name: "lan")]
        let found = problems(lab)
        #expect(found.count == 4)
        #expect(
            found.contains(
                "big: one guest needs 21GiB (20GiB and the virtual machine's overhead), but only 10GiB may be used"))
        #expect(found.contains { $0.hasPrefix("tiny: 1000B is too little") })
        #expect(found.contains { $0.contains("4 guests on network lan must be up together and need 20GiB") })
        #expect(found.contains("task t: two of its targets name the guest peer-1"))
    }

    @Test("users and standard error apart are for Linux guests")
    func windows() {
        var lab = TestLab(tasks: [
            task("plain"), task("user").with { $0.user = "a" }, task("errors").with { $0.errors = .separate },
        ])
        lab.image.os = .windows
        #expect(
            problems(lab) == [
                "task user on g: `user` is for Linux guests, and this one is Windows-like",
                "task errors on g: `stderr` is for Linux guests, and this one is Windows-like",
            ])
    }

    @Test("batches by memory and by slots")
    func batches() throws {
        var lab = TestLab(
            groups: [group("g", count: 10, memory: .gibibytes(4))], limit: .gibibytes(20),
            backend: ShellBackend(overhead: .gibibytes(1)))
        #expect(try lab.plan().batches == 3)
        lab.slots = 2
        #expect(try lab.plan().batches == 5)
        lab.limit = .gibibytes(100)
        lab.slots = nil
        #expect(try lab.plan().batches == 1)
        lab.groups = []
        #expect(try lab.plan().batches == 0)
    }
}

extension GuestGroup {
    fileprivate func on(_ network: String) -> GuestGroup {
        var copy = self
        copy.networks = [network]
        return copy
    }
}
