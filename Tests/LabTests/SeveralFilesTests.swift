import Foundation
import HostSystem
import LabResults
import LabTestSupport
import Testing

/// Several lab files in one command.
@Suite(.serialized, .requiresVMLab, .requiresKVM, .timeLimit(.minutes(5)))
struct SeveralFilesTests {
    private static func lab(_ command: String, name: String = "same") -> String {
        """
        lab: \(name)
        guests: {box: {image: probe}}
        tasks:
          - {name: t, run: '\(command)'}
        """
    }

    private static let script = """
        local vmlab = require "vmlab"
        vmlab.equals(vmlab.boot { image = "probe" }:succeed("echo hi"), "hi")
        """

    @Test("A1: two labs and a script with --out each have a folder of their own, and the gravest status counts")
    func severalFiles() async throws {
        try await VMLab.with { vmlab in
            try vmlab.write("a.yaml", Self.lab("echo one"))
            try vmlab.write("b.yaml", Self.lab("exit 3"))
            try vmlab.write("c.lua", Self.script)
            try vmlab.write("x/lab.yaml", Self.lab("echo two"))
            let files = ["a.yaml", "b.yaml", "c.lua", "x/lab.yaml", "./a.yaml"]
            let ended = try await vmlab.start(["run"] + files + ["--out", "out"]).ended(within: .seconds(60))
            #expect(ended.status == 1, "\(ended.everything)")
            for (folder, status) in [("a", 0), ("b", 1), ("c", 0), ("x", 0), ("a-2", 0)] {
                #expect(try vmlab.report("out/\(folder)").exitStatus == Int32(status), "\(folder)")
            }
            #expect(try vmlab.report("out/c").file == "c.lua")

            // The results of an earlier call make room, other files do not.
            let again = try await vmlab("run", "c.lua", "a.yaml", "--out", "out", "--json")
            #expect(again.status == 0, "\(again.everything)")
            let folders = try FileTree.names(in: "\(vmlab.path)/out").filter { !$0.hasPrefix(".") }
            #expect(folders.sorted() == ["a", "c"])
            let events = try again.out.split(separator: "\n").map {
                try JSONDecoder().decode(Event.self, from: Data($0.utf8))
            }
            #expect(events.count { $0.event == "runStarted" } == 2 && events.last?.event == "runFinished")
            try vmlab.write("mine/a/precious", "mine")
            let refused = try await vmlab("run", "a.yaml", "c.lua", "--out", "mine")
            #expect(refused.status == 2 && refused.err.contains("mine is not empty"), "\(refused.everything)")
            #expect(vmlab.files(under: "mine") == ["a", "a/precious"])
        }
    }

    @Test("A1: validate, plan and run find the mistakes of all files, scripts too, at once")
    func mistakes() async throws {
        try await VMLab.with { vmlab in
            try vmlab.write("a.yaml", Self.lab("echo one") + "\nnonsense: 1")
            try vmlab.write("b.lua", "local = 3")
            try vmlab.write("c.yaml", Self.lab("echo one", name: "fine"))
            for verb in ["validate", "run"] {
                let ended = try await vmlab(verb, "b.lua", "a.yaml", "c.yaml")
                #expect(ended.status == 2 && ended.out == "", "\(ended.everything)")
                #expect(ended.err.contains("b.lua:1:") && ended.err.contains("a.yaml:5:"), "\(ended.err)")
                #expect(ended.err.hasSuffix("2 errors\n"))
            }
            let valid = try await vmlab("validate", "c.yaml", "c.yaml")
            #expect(valid.status == 0, "\(valid.everything)")
            let plan = try await vmlab("plan", "c.yaml", "c.yaml", "--json")
            #expect(
                plan.status == 0 && plan.out.components(separatedBy: "\"lab\" : \"fine\"").count == 3, "\(plan.out)")
        }
    }

    @Test("N10: --on-failure stop stops other cells of the matrix, and other files")
    func stop() async throws {
        try await VMLab.with { vmlab in
            try vmlab.write("a.yaml", "matrix: {status: [0, 3, 4]}\n" + Self.lab("exit ${{ matrix.status }}"))
            try vmlab.write("c.lua", Self.script)
            let ended = try await vmlab("run", "a.yaml", "c.lua", "--out", "out", "--on-failure", "stop")
            #expect(ended.status == 1, "\(ended.everything)")
            #expect(ended.err.contains("not run: a.yaml [status=4], c.lua (an earlier run failed"), "\(ended.err)")
            #expect(try vmlab.report("out/a/status=0").task("t").outcome == .passed)
            #expect(try vmlab.report("out/a/status=3").task("t").outcome == .failed)
            #expect(try vmlab.report("out/a/status=4").task("t").outcome == .skipped)
            #expect(try vmlab.report("out/c").task("c").outcome == .skipped)
            #expect(vmlab.events("out/c").allSatisfy { $0.event != "taskStarted" })

            let all = try await vmlab("run", "a.yaml", "c.lua", "--out", "out")
            #expect(all.status == 1)
            #expect(try vmlab.report("out/a/status=4").task("t").outcome == .failed)
        }
    }
}
