import Foundation
import Glibc
import HostSystem
import LabImages
import LabResults
import Testing

/// The verbs that boot nothing.
@Suite(.requiresVMLab)
struct VerbTests {
    static let verbs = ["run", "validate", "plan", "schema", "ps", "logs", "gc", "images", "doctor", "report"]

    private static let lab = """
        lab: small
        matrix:
          cpus: [1, 2]
        guests:
          lin: {image: busybox, count: 2, memory: 128MiB, cpus: "${{ matrix.cpus }}"}
          win: {image: wine, memory: 256MiB}
        tasks:
          - {name: kernel, on: lin, run: uname}
          - {name: shard, on: any lin, run: 'true', repeat: 5, needs: kernel}
          - {name: version, on: win, run: ver}
        """

    @Test(arguments: verbs)
    func help(_ verb: String) async throws {
        try await VMLab.with { vmlab in
            let ended = try await vmlab(verb, "--help")
            #expect(ended.status == 0 && ended.err == "", "\(ended.everything)")
            #expect(ended.out.contains("OVERVIEW: ") && ended.out.contains("USAGE: vmlab \(verb)"), "\(ended.out)")
        }
    }

    @Test func helpOfTheWhole() async throws {
        try await VMLab.with { vmlab in
            let ended = try await vmlab("--help")
            #expect(ended.status == 0)
            for verb in Self.verbs { #expect(ended.out.contains("\n  \(verb) "), "\(verb)") }
            let version = try await vmlab("--version")
            #expect(version.status == 0 && version.out.contains(#/^\d+\.\d+\.\d+\n$/#), "\(version.everything)")
            let script = try await vmlab("--generate-completion-script", "bash")
            #expect(script.status == 0 && script.out.contains("vmlab"))
        }
    }

    static let wrongUsage: [[String]] = [
        ["frobnicate"], ["run"], ["run", "lab.yaml", "--no-such-option"], ["run", "nowhere.yaml"],
        ["run", "lab.yaml", "--set", "no-equals-sign"], ["run", "lab.yaml", "--set", "guests.lin.cuont=2"],
        ["run", "lab.yaml", "--filter", "nothing-like-this"], ["run", "lab.yaml", "--jobs", "0"],
        ["run", "lab.yaml", "--time-factor", "0"], ["run", "lab.yaml", "--memory", "much"],
        ["run", "lab.yaml", "--backend", "magic"], ["validate"], ["plan", "nowhere.yaml"], ["logs"],
        ["logs", "nobody"], ["images", "build", "no-such-image"], ["images", "rm", "no-such-image"],
        ["images", "path", "no-such-image"], ["validate", "."],
        ["report", "."], ["report"],
    ]

    @Test(arguments: wrongUsage)
    func wrongUsageIsStatusTwo(_ arguments: [String]) async throws {
        try await VMLab.with { vmlab in
            try vmlab.write("lab.yaml", Self.lab)
            let ended = try await vmlab.start(arguments).ended(within: .seconds(60))
            #expect(ended.status == 2, "\(ended.everything)")
            #expect(ended.out == "")
            #expect(!ended.err.isEmpty)
            #expect(access("\(vmlab.path)/results", F_OK) != 0)
        }
    }

    @Test func validate() async throws {
        try await VMLab.with { vmlab in
            try vmlab.write("lab.yaml", Self.lab)
            let ended = try await vmlab("validate", "lab.yaml")
            #expect(ended.status == 0 && ended.err == "", "\(ended.everything)")
            #expect(ended.out == "valid: 6 guests, 16 task runs (2 labs and matrix cells)\n")
        }
    }

    @Test func plan() async throws {
        try await VMLab.with { vmlab in
            try vmlab.write("lab.yaml", Self.lab)
            let text = try await vmlab("plan", "lab.yaml")
            #expect(text.status == 0, "\(text.everything)")
            for word in [
                "lab small [cpus=1]", "lab small [cpus=2]", "lin-2", "busybox", "128MiB", "all at once", "BOOT", "auto",
                "admission: strict",
            ] {
                #expect(text.out.contains(word), "\(word) in:\n\(text.out)")
            }
            let json = try await vmlab("plan", "lab.yaml", "--json", "--set", "guests.lin.count=3", "--jobs", "1")
            let object = try JSONSerialization.jsonObject(with: Data(json.out.utf8))
            let plans = try #require(object as? [[String: Any]])
            #expect(plans.map { $0["cell"] as? String } == ["cpus=1", "cpus=2"])
            let guests = try #require(plans[1]["guests"] as? [[String: Any]])
            #expect(guests.map { $0["name"] as? String } == ["lin-1", "lin-2", "lin-3", "win"])
            #expect(plans[0]["admission"] as? String == "strict" && guests[0]["boot"] as? String == "auto")
            #expect(guests[0]["cpus"] as? Int == 2 && guests[0]["memory"] as? Int == 128 << 20)
            let tasks = try #require(plans[0]["tasks"] as? [[String: Any]])
            #expect(tasks.map { $0["runs"] as? Int } == [3, 5, 1])

            let filtered = try await vmlab("plan", "lab.yaml", "--json", "--filter", "sha*")
            #expect(filtered.out.contains("\"kernel\"") && !filtered.out.contains("\"version\""), "and its needs")
        }
    }

    @Test func schema() async throws {
        try await VMLab.with { vmlab in
            let ended = try await vmlab("schema")
            #expect(ended.status == 0)
            let schema = try JSONSerialization.jsonObject(with: Data(ended.out.utf8)) as? [String: Any]
            #expect(schema?["$schema"] != nil && schema?["$defs"] != nil)

            let python = Environment["VMLAB_TEST_PYTHON"] ?? "python3"
            guard let found = Tool.find(python),
                try await Tool.run(found, ["-c", "import jsonschema, yaml"], package: "python3").status.isSuccess
            else { return }
            try vmlab.write("schema.json", ended.out)
            let labs = (LabFolder.all("Labs") + LabFolder.all("Examples")).map(\.file).filter { $0.hasSuffix(".yaml") }
            let checked = try await Tool.run(
                found, ["\(VMLab.root)/Tests/LabSpecTests/Fixtures/validate.py", "\(vmlab.path)/schema.json"] + labs,
                package: "python3")
            let verdicts = checked.text.split(separator: "\n")
            #expect(verdicts.count == labs.count, "\(checked)")
            #expect(verdicts.allSatisfy { $0.hasPrefix("good ") }, "\(checked.text)")
        }
    }

    @Test func imagesAndDoctor() async throws {
        try await VMLab.with { vmlab in
            for arguments in [["images"], ["images", "list"]] {
                let list = try await vmlab.start(arguments).ended()
                #expect(list.status == 0)
                #expect(list.out.contains(#/\ndebian +linux /#) && list.out.contains(#/\nwine +windows /#))
            }
            let empty = try await vmlab("images", "list", environment: ["XDG_CACHE_HOME": "\(vmlab.path)/cache"])
            #expect(empty.out.contains("not built"))

            let path = try await vmlab("images", "path", "busybox")
            #expect(
                path.status == 0 && path.out.contains(#/^\/.+\/images\/busybox-[0-9a-f]+\n$/#), "\(path.everything)")
            #expect(access("\(path.out.dropLast())/kernel", R_OK) == 0)
            let nowhere = try await vmlab(
                "images", "path", "busybox", environment: ["XDG_CACHE_HOME": "\(vmlab.path)/cache"])
            #expect(nowhere.status == 3 && nowhere.out == "", "\(nowhere.everything)")
            #expect(nowhere.err.contains("the image busybox is not built"), "\(nowhere.err)")

            let doctor = try await vmlab("doctor")
            for subject in ["KVM:", "QEMU:", "memory:", "processors:", "open files:", "image cache:"] {
                #expect(doctor.out.contains("] \(subject)") || doctor.out.contains("]   \(subject)"), "\(doctor.out)")
            }
        }
    }

    @Test func unfinishedGoldensAreCollected() async throws {
        try await VMLab.with { vmlab in
            let cache = "\(vmlab.path)/cache/vmlab"
            try FileTree.makeFolder("\(cache)/locks")
            let left = try vmlab.write("cache/vmlab/build/golden-busybox-0123456789abcdef/memory", "half")
            let garbage = try await vmlab("gc", environment: ["XDG_CACHE_HOME": "\(vmlab.path)/cache"])
            #expect(garbage.status == 0, "\(garbage.everything)")
            #expect(garbage.out == "removed \(cache)/build/golden-busybox-0123456789abcdef\n")
            #expect(access(left, F_OK) != 0)
        }
    }

    @Test func nothingToDo() async throws {
        try await VMLab.with { vmlab in
            let runs = try await vmlab("ps")
            #expect(runs.status == 0 && runs.out == "no runs\n", "\(runs.everything)")
            let empty = ["XDG_CACHE_HOME": "\(vmlab.path)/cache"]
            let garbage = try await vmlab("gc", environment: empty)
            #expect(garbage.status == 0 && garbage.out == "nothing to remove\n", "\(garbage.everything)")
            let whole = try await vmlab("images", "verify", environment: empty)
            #expect(whole.status == 0 && whole.out == "", "\(whole.everything)")
            let pruned = try await vmlab("images", "prune", "--goldens", environment: empty)
            #expect(pruned.status == 0 && pruned.out == "freed 0B\n", "\(pruned.everything)")
        }
    }
}

extension GuestTests {
    /// The verbs and options that have to do with running guests.
    @Suite struct RunVerbTests {
        private static let lab = """
            lab: options
            guests:
              box: {image: busybox, memory: 128MiB}
            tasks:
              - {name: wanted, run: echo wanted, needs: [before]}
              - {name: before, run: echo before}
              - {name: unwanted, run: exit 1}
              - {name: fails, run: 'echo some output; exit 3', needs: [unwanted], if: always()}
              - {name: later, run: sleep 1000}
            """

        @Test func aRunIsSeenFromOutside() async throws {
            try await VMLab.with { vmlab in
                try vmlab.write("lab.yaml", Self.lab)
                let run = try await vmlab.start(["run", "lab.yaml", "--out", "out"])
                try await run.taskStarted("later")
                let machine = try await run.machine("box")

                let ps = try await vmlab("ps")
                #expect(ps.status == 0)
                let line = try #require(ps.out.split(separator: "\n").dropFirst().first, "\(ps.everything)")
                let words = line.split(separator: " ").map(String.init)
                #expect(words.starts(with: ["options", "\(run.child.processID)"]), "\(line)")
                #expect(words.contains("box") && words.contains("\(machine.id)") && words.last == "out", "\(line)")

                let logs = try await vmlab("logs", "box")
                #expect(logs.status == 0 && logs.out.contains("# console of box"), "\(logs.everything)")

                // A live run is nobody's garbage.
                let garbage = try await vmlab("gc", environment: ["XDG_CACHE_HOME": "\(vmlab.path)/cache"])
                #expect(garbage.out == "nothing to remove\n", "\(garbage.everything)")
                #expect(vmlab.machines.count == 1)

                run.send(SIGTERM)
                _ = try await run.ended()
                let finished = try await vmlab("logs", "box", "--results", "out")
                #expect(finished.status == 0 && finished.out.hasPrefix(logs.out), "\(finished.everything)")
            }
        }

        @Test func aGoldenInUseIsLeftAlone() async throws {
            try await VMLab.with { vmlab in
                // A cache of its own, with the images that are built.
                let (images, own) = ("\(ImageStore.defaultDirectory)/images", "\(vmlab.path)/cache/vmlab/images")
                try FileTree.makeFolder(own)
                for name in try FileTree.names(in: images) { symlink("\(images)/\(name)", "\(own)/\(name)") }
                let cache = ["XDG_CACHE_HOME": "\(vmlab.path)/cache"]
                try vmlab.write(
                    "lab.yaml",
                    """
                    lab: clone
                    guests: {box: {image: busybox, memory: 128MiB, boot: clone}}
                    tasks: [{name: later, run: sleep 1000}]
                    """)
                let run = try await vmlab.start(["run", "lab.yaml", "--out", "out"], environment: cache)
                try await run.taskStarted("later")
                let list = try await vmlab("images", "list", environment: cache)
                #expect(list.out.contains(#/\nbusybox .*\n  golden .* memory 128MiB, cpus 1/#), "\(list.everything)")
                let kept = try await vmlab("images", "prune", "--goldens", environment: cache)
                #expect(
                    kept.out.hasPrefix("left alone, in use by a running lab: the golden busybox-"), "\(kept.everything)"
                )
                run.send(SIGTERM)
                _ = try await run.ended()
                let pruned = try await vmlab("images", "prune", "--goldens", environment: cache)
                #expect(pruned.out.contains(#/^freed [1-9]/#), "\(pruned.everything)")
                #expect(try FileTree.names(in: "\(vmlab.path)/cache/vmlab/goldens").isEmpty)
            }
        }

        @Test func filterSetAndPlainOutput() async throws {
            try await VMLab.with { vmlab in
                try vmlab.write("lab.yaml", Self.lab)
                let ended = try await vmlab(
                    "run", "lab.yaml", "--filter", "want*", "--set", "guests.box.memory=160MiB",
                    environment: ["TERM": "xterm-256color"])
                #expect(ended.status == 0, "\(ended.everything)")
                #expect(!ended.out.contains("\u{1b}"), "not a terminal, no escapes")
                let report = try vmlab.report("results/latest")
                #expect(report.tasks.map(\.id.task) == ["wanted", "before"])
                #expect(report.guests.first?.guest.memory == 160 << 20)
                #expect(try report.task("before").started < report.task("wanted").started)
            }
        }

        @Test func jsonAndQuiet() async throws {
            try await VMLab.with { vmlab in
                try vmlab.write("lab.yaml", Self.lab)
                let json = try await vmlab("run", "lab.yaml", "--out", "out", "--filter", "fails", "--json")
                #expect(json.status == 1, "\(json.everything)")
                #expect(json.out == (try vmlab.text("out/events.jsonl")))

                let quiet = try await vmlab("run", "lab.yaml", "--out", "out", "--filter", "fails", "--quiet")
                #expect(quiet.status == 1)
                let lines = quiet.out.split(separator: "\n")
                #expect(lines.count < 12, "\(quiet.out)")
                #expect(quiet.out.contains("some output") && quiet.out.contains("exit status 3, expected 0"))
                #expect(!quiet.out.contains("booting"))

                // The finished run, shown again: the same table, the same file, the same status.
                let again = try await vmlab("report", "out")
                #expect(again.status == 1 && again.out.contains("fails"), "\(again.everything)")
                let junit = try await vmlab("report", "out", "--format", "junit")
                #expect(junit.status == 1)
                #expect(try junit.out == vmlab.text("out/junit.xml"))
            }
        }

        /// At a terminal the run is shown live, in colour; NO_COLOR takes the colours, CI=true all escapes.
        @Test func terminal() async throws {
            try #require(Tool.find("script") != nil, "needs `script` of bsdutils for a terminal")
            try await VMLab.with { vmlab in
                try vmlab.write("lab.yaml", Self.lab)
                func shown(_ changes: [String: String]) async throws -> String {
                    let command = "\(try #require(VMLab.executable)) run lab.yaml --out out --filter before"
                    let environment = changes.map { "\($0.key)=\($0.value)" }.sorted().joined(separator: " ")
                    let words = ["-qec", "env TERM=xterm-256color \(environment) \(command)", "/dev/null"]
                    let name = "\(vmlab.path)/typescript"
                    let child = try await ChildProcess.spawn(
                        ChildConfiguration(
                            executable: try #require(Tool.find("script")), arguments: words,
                            environment: vmlab.environment, workingDirectory: vmlab.path, standardOutput: .file(name)))
                    defer { unlink(name) }
                    let run = RunningCommand(vmlab: vmlab, child: child, files: name, started: .now)
                    let ended = try await run.ended()
                    #expect(ended.status == 0)
                    return SmallFile.text(name) ?? ""
                }
                let live = try await shown([:])
                #expect(live.contains("\u{1b}[32m"), "\(live.debugDescription)")
                let colourless = try await shown(["NO_COLOR": "1"])
                #expect(colourless.contains("\u{1b}[") && !colourless.contains(#/\x1b\[[0-9;]+m/#))
                let plain = try await shown(["CI": "true", "NO_COLOR": "1"])
                #expect(!plain.contains("\u{1b}") && plain.contains("passed"), "\(plain.debugDescription)")
            }
        }
    }
}
