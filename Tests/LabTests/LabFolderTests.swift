import Foundation
import Glibc
import HostSystem
import LabResults
import Testing

/// A lab of this repository: a folder with a `lab.yaml` or a `lab.lua`.
struct LabFolder: Sendable, CustomStringConvertible {
    /// `Labs` or `Examples`.
    let shelf: String
    let name: String

    var file: String {
        let folder = "\(VMLab.root)/\(shelf)/\(name)"
        return access("\(folder)/lab.yaml", R_OK) == 0 ? "\(folder)/lab.yaml" : "\(folder)/lab.lua"
    }
    var description: String { "\(shelf)/\(name)" }

    /// How `vmlab run` ends; most labs pass.
    var status: Int32 { description == "Examples/timeouts" ? 4 : 0 }

    /// What makes a large lab small enough to be run often.
    var settings: [String] {
        let changes: [String: [String]] = [
            "Labs/thousand": ["tasks.linux.repeat=5", "tasks.windows.repeat=4"],
            "Labs/alive-500": ["guests.lin.count=6"],
            // One release, which is built anyway; the others are as many minutes.
            "Labs/kernel-matrix": ["matrix.release=['12']", "matrix.kernel=['12']"],
            "Labs/build-matrix": ["matrix.release=['12']", "matrix.compiler=[gcc]"],
        ]
        return (changes[description] ?? []).flatMap { ["--set", $0] }
    }

    static func all(_ shelf: String) -> [LabFolder] {
        let names = (try? FileTree.names(in: "\(VMLab.root)/\(shelf)")) ?? []
        // NestedTests runs the nested lab, and looks closer.
        return names.filter { $0 != "nested-kvm" }.map { LabFolder(shelf: shelf, name: $0) }
            .filter { access($0.file, R_OK) == 0 }
    }
}

extension GuestTests {
    /// Every lab that people are given works, and leaves the results that they are promised.
    @Suite struct LabFolderTests {
        @Test(arguments: LabFolder.all("Labs"))
        func labs(_ lab: LabFolder) async throws { try await run(lab) }

        @Test(arguments: LabFolder.all("Examples"))
        func examples(_ lab: LabFolder) async throws { try await run(lab) }

        @Test func thereAreLabs() {
            #expect(LabFolder.all("Labs").count >= 3)
            #expect(LabFolder.all("Examples").count >= 10)
        }

        private func run(_ lab: LabFolder) async throws {
            if lab.name == "kernel-smoke" {
                // Kept beside the lab, ignored by git.
                try await Tool.run("\(VMLab.root)/Labs/kernel-smoke/get-kernel.sh", [], package: "apt").checked(
                    "the kernel under test could not be had")
            }
            if lab.name == "foreign-disk" {
                let folder = "\(VMLab.root)/Labs/foreign-disk"
                try await Tool.run(
                    "\(folder)/make-disks", ["\(folder)/disks", "small.vmdk", "small-uefi.raw", "cloud.qcow2"],
                    package: "apt"
                ).checked("the lab's disks could not be made")
            }
            try await VMLab.with { vmlab in
                let run = try await vmlab.start(["run", lab.file, "--out", "out"] + lab.settings).ended()
                #expect(run.status == lab.status, "\(run.everything)")
                #expect(run.err == "")
                print("\(lab): \(run.duration)")
                let reports = vmlab.files(under: "out").filter { $0.hasSuffix("results.json") }
                #expect(!reports.isEmpty)
                for report in reports {
                    try await check(vmlab, "out/" + report.dropLast("/results.json".count))
                }
            }
        }

        /// That a results directory is what PRODUCT.md says, read without vmlab's own types.
        private func check(_ vmlab: VMLab, _ out: String) async throws {
            let out = out.hasSuffix("results.json") ? "out" : out
            let object = try JSONSerialization.jsonObject(with: Data(vmlab.bytes("\(out)/results.json")))
            let report = try #require(object as? [String: Any])
            for key in ["lab", "host", "status", "exitStatus", "duration", "guests", "tasks", "counts"] {
                #expect(report[key] != nil, "\(key)")
            }
            let tasks = try #require(report["tasks"] as? [[String: Any]])
            let busy = Set(tasks.compactMap { $0["guest"] as? String })
            for guest in try #require(report["guests"] as? [[String: Any]]) {
                let name = try #require(guest["name"] as? String)
                #expect((guest["backend"] as? String)?.isEmpty == false)
                // The others may have done its work before it was up.
                guard busy.contains(name) else { continue }
                #expect((guest["bootSeconds"] as? Double ?? 0) > 0, "\(guest)")
                let console = try vmlab.text("\(out)/guests/\(name)/console.log")
                #expect(console.hasPrefix("# console of "))
            }
            for task in tasks {
                let output = try #require(task["output"] as? String)
                #expect(try vmlab.bytes("\(out)/\(output)").count == task["outputBytes"] as? Int)
                for artifact in try #require(task["artifacts"] as? [String]) {
                    #expect(access("\(vmlab.path)/\(out)/\(artifact)", R_OK) == 0, "\(artifact)")
                }
            }
            let events = vmlab.events(out)
            #expect(events.map(\.seq) == Array(1...events.count))
            #expect(events.first?.event == "runStarted" && events.last?.event == "runFinished")
            #expect(events.count { $0.event == "taskFinished" } == tasks.count)
            try await checkJUnit("\(vmlab.path)/\(out)/junit.xml", cases: tasks.count)
        }

        private func checkJUnit(_ path: String, cases: Int) async throws {
            let text = try #require(SmallFile.text(path))
            #expect(text.components(separatedBy: "<testcase ").count - 1 == cases)
            guard Tool.find("xmllint") != nil else { return }
            let schema = "\(VMLab.root)/Tests/LabResultsTests/Fixtures/junit.xsd"
            try await Tool.run("xmllint", ["--noout", "--schema", schema, path], package: "libxml2-utils").checked(
                "junit.xml does not follow its schema")
        }
    }
}
