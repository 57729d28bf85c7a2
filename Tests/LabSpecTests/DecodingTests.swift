import Diagnostics
import Testing

@testable import LabSpec

@Suite struct DecodingTests {
    private func everything() throws(DiagnosticList) -> LabFile {
        try LabFile.load(path: fixtures + "/good/everything.yaml")
    }

    @Test func groupsTakeDefaults() throws {
        let lab = try #require(try everything().labs.first)
        #expect(lab.guests.map(\.name) == ["plain", "lin-1", "lin-2", "lin-3", "one-1", "win", "sys"])
        let (plain, lin, one, win) = (lab.groups[0], lab.groups[1], lab.groups[2], lab.groups[3])
        #expect(plain.count == nil && plain.image == "debian" && plain.memory == .mebibytes(512) && plain.cpus == 2)
        #expect(plain.boot == .cold && plain.backend == .auto)
        #expect(
            plain.env.map { "\($0.name)=\($0.value)" } == ["LC_ALL=C", "LEVEL=defaults", "COLOR=blue"])
        #expect(lin.env.map { "\($0.name)=\($0.value)" } == ["LC_ALL=C", "LEVEL=group", "COLOR=blue"])
        #expect(lin.networks == ["lan", "outside"] && lin.cpuWeight == 1 && lin.ioWeight == 50)
        #expect(plain.cpuWeight == 200 && plain.ioWeight == nil && lab.admission == .overcommit)
        #expect(one.memory == .mebibytes(1536) && one.cpus == 4 && one.backend == .qemu && one.boot == .clone)
        #expect(one.cmdline == "nokaslr" && one.nested && !plain.nested)
        #expect(win.disks.count == 4)
        #expect(win.disks[0] == .scratch(size: .gibibytes(2)) && win.disks[2] == .scratch(size: .mebibytes(64)))
        #expect(win.disks[1] == win.disks[3])
        guard case .file(let path, _) = win.disks[1] else { return #expect(Bool(false)) }
        #expect(path.hasPrefix("/") && path.hasSuffix("/folder/bzImage"))
        #expect(lab.networks.map(\.name) == ["lan", "outside"] && lab.networks.map(\.nat) == [false, true])
        #expect(lab.networks.map(\.host) == [[], [8080, 5432]])
        #expect(
            lab.timeouts
                == Timeouts(
                    boot: .seconds(120), task: .seconds(90), silence: .seconds(90), lab: .seconds(3600),
                    grace: .seconds(45)))
    }

    @Test func imagesOfOnesOwn() throws {
        let lab = try #require(try everything().labs.first)
        let kernel = try #require(lab.images["own-kernel"])
        #expect(kernel.from == "debian" && kernel.os == nil && kernel.memory == .gibibytes(1) && kernel.console == nil)
        #expect(kernel.kernel?.hasSuffix("/folder/bzImage") == true && kernel.cmdline == "console=ttyS0 quiet")
        #expect(kernel.keySpans["kernel"]?.start == SourcePosition(line: 15, column: 13))
        let disk = try #require(lab.images["own-disk"])
        #expect(disk.os == .windows && disk.console == ConsoleSpec(dialect: .sac, announces: false, ports: 1))
        let system = try #require(lab.images["own-system"]?.console)
        #expect(system.prompt == "^[#$] $" && system.user == "root" && system.password == "1234")
        #expect(system.reactions.map(\.expect.text) == ["Press Enter", #"more\?"#])
        #expect(system.reactions.map(\.send) == ["\n", "y"] && system.reactions.map(\.times) == [1, 3])
        #expect(lab.images["own-system"]?.modules.map { $0.hasSuffix("/folder/bzImage") } == [true])
    }

    @Test func tasks() throws {
        let file = try everything()
        let lab = try #require(file.labs.first)
        func task(_ name: String) throws -> LabTask { try #require(lab.tasks.first { $0.name == name }) }
        #expect(try task("every").targets == [.every(lab.guests.map(\.name))])
        let block = try task("block")
        #expect(block.targets == [.every(["lin-1", "lin-2", "lin-3"]), .every(["one-1"])])
        guard case .run(let text) = block.action else { return #expect(Bool(false)) }
        #expect(text == "set -e\necho \"${HOME} and $((1 + 1))\"\n")
        #expect(block.expect.exit == [3] && block.needs == ["every"] && block.timeout == .milliseconds(500))
        let script = try task("script")
        guard case .script(let path) = script.action else { return #expect(Bool(false)) }
        #expect(path.hasSuffix("/work.sh") && script.expect.stdout.map(\.text) == ["^shard"])
        #expect(script.expect.exit == [0] && script.retries == 2 && script.retryOn == .anyFailure)
        let lua = try task("lua-file")
        guard case .lua(.file(let luaPath)) = lua.action else { return #expect(Bool(false)) }
        #expect(luaPath.hasSuffix("/work.lua") && lua.expect.exit == [0, 1, -1_073_741_819, -1_073_741_819])
        #expect(lua.targets == [.every(["lin-2"])] && lua.expect.stdout.count == 2)
        let inline = try task("lua-inline")
        guard case .lua(.inline(let hello)) = inline.action else { return #expect(Bool(false)) }
        #expect(hello.text == "print \"hello\"\n")
        #expect(inline.condition == .always && inline.targets == [.any(["lin-1", "lin-2", "lin-3"])])
        let copies = try task("copies")
        guard case .nothing = copies.action else { return #expect(Bool(false)) }
        #expect(copies.put.map(\.guest) == ["C:\\lab\\", "/root/"] && copies.get == ["/root/out"])
        #expect(copies.env.map { "\($0.name)=\($0.value)" } == ["A=1", "B=true", "C=", "D=", "E=x y"])
        #expect(copies.targets == [.any(["lin-1", "lin-2", "lin-3"]), .every(["win"])] && copies.repetitions == 3)
        let restart = try task("restart")
        #expect(try task("clean").reset == .snapshot && restart.reset == .nothing && block.reset == .nothing)
        #expect(restart.reboot && restart.targets == [.any(lab.guests.map(\.name))])
        #expect(file.warnings.isEmpty)
    }

    @Test("A4, S17: what fails a task and how much it may print, for the lab and for a task")
    func troubleAndLimit() throws {
        let text = """
            lab: x
            guests: {a: {image: debian}}
            %
            tasks: [{name: a, run: ls, fail-on: [warning, oom], output-limit: 10MiB}, {name: b, run: ls}]
            """
        let standard = try lab(text.replacing("%", with: ""))
        #expect(standard.failOn == TroubleKind.grave && standard.outputLimit == .mebibytes(64))
        #expect(standard.tasks[0].failOn == [.warning, .oom] && standard.tasks[0].outputLimit == .mebibytes(10))
        #expect(standard.tasks[1].failOn == nil && standard.tasks[1].outputLimit == nil)
        let other = try lab(text.replacing("%", with: "fail-on: []\noutput-limit: 1GiB"))
        #expect(other.failOn == [] && other.outputLimit == .gibibytes(1))
        #expect(errors(text.replacing("%", with: "fail-on: [oups]")).contains("did you mean `oops`?"))
    }

    @Test func oneMistakeDoesNotHideAnother() {
        let text = errors("lab: x\nguests: {a: {image: debian, count: many}}\ntasks: [{name: t, on: a-7, run: 1}]\n")
        // `a-7` may be right: the count is not known.
        #expect(text.split(separator: "\n").count == 3 && text.hasPrefix("lab.yaml:2:36: error: `count` must be"))
        let other = errors("lab: x\nguests: {a b: {image: debian}}\ntasks: [{name: t, on: a b, run: 1, cuont: 1}]\n")
        #expect(other.contains("`a b`") && other.contains("`cuont`"))
    }

    @Test func warningsAreNotErrors() throws {
        let file = try LabFile.parse(
            SourceFile(
                path: "l", text: "lab: x\nnetworks: [n]\nguests: {a: {image: debian}}\ntasks: [{name: t, run: 1}]\n"),
            directory: "/")
        #expect(file.warnings.map(\.message) == ["no guest joins the network `n`"])
    }

    @Test func aCatalogIsWhatTheCallerSays() {
        let text = "lab: x\nguests: {a: {image: special}}\ntasks: [{name: t, run: 1}]\n"
        #expect(errors(text).contains("there is no image `special`"))
        #expect(throws: Never.self) {
            try LabFile.parse(SourceFile(path: "l", text: text), directory: "/", catalog: ["special"])
        }
    }

    @Test(arguments: ["", "# nothing\n", "---\n", "~\n"])
    func anEmptyLabSaysHowToBegin(_ text: String) {
        #expect(errors(text).hasPrefix("lab.yaml:1:1: error: the lab is empty (begin with `lab: name`"))
    }

    @Test func filesThatCannotBeReadAreErrors() throws {
        let list = #expect(throws: DiagnosticList.self) { try LabFile.load(path: "/nowhere/lab.yaml") }
        #expect(list?.all.first?.cause != nil)
    }
}

@Suite struct FleetLimitTests {
    private func tasks(_ text: String) -> String { "tasks: [\(text)]\n" }

    @Test func runsAreBounded() {
        let head = "lab: x\nguests: {a: {image: debian, count: 1000}}\n"
        #expect(errors(head + tasks("{name: t, run: 1, repeat: 1000}")).isEmpty)
        #expect(errors(head + tasks("{name: t, run: 1, repeat: 1001}")).contains("the tasks have 1001000 runs"))
        #expect(errors(head + tasks("{name: t, run: 1, on: any, repeat: 1000000}")).isEmpty)
    }

    @Test func guestsAreBounded() {
        let groups = (0..<50).map { "g\($0): {image: debian, count: 10000}" }.joined(separator: ", ")
        let text = errors("lab: x\nguests: {\(groups)}\n" + tasks("{name: t, run: 1}"))
        #expect(text.contains("the lab has more than 10000 guests"))
    }

    @Test func aMatrixOfManyGuestsIsBounded() {
        let text = errors(
            "lab: x\nmatrix: {n: [\((0..<20).map(String.init).joined(separator: ", "))]}\n"
                + "guests: {a: {image: debian, count: 10000}}\n" + tasks("{name: t, on: any, run: 1}"))
        #expect(text.contains("more than 100000 guests"))
    }

    @Test func longChainsAndCirclesOfNeeds() {
        let head = "lab: x\nguests: {a: {image: debian}}\ntasks:\n"
        let chain = (0..<5000).map { "- {name: t\($0), run: 1, needs: t\($0 + 1)}\n" }.joined()
        #expect(errors(head + chain + "- {name: t5000, run: 1}\n").isEmpty)
        let circle = errors(head + chain + "- {name: t5000, run: 1, needs: t0}\n")
        #expect(circle.contains("t0 → t1 → t2 → t3 → t4 → t5 → … → t4997 → t4998 → t4999 → t5000 → t0"))
    }

    @Test("an image that is made of another names it, and real packages")
    func madeImages() throws {
        let text = """
            lab: l
            images:
              a: {from: debian, packages: [gcc, 'libstdc++-12-dev'], files: {./good/: /srv/}, init: systemd, size: 2GiB}
              b: {from: a, setup: echo}
            guests: {g: {image: b}}
            tasks: [{name: t, run: 'true'}]
            """
        let images = try lab(text).images
        #expect(images["a"]?.packages == ["gcc", "libstdc++-12-dev"] && images["a"]?.start == .systemd)
        #expect(images["a"]?.files.map(\.guest) == ["/srv"], "one folder to the other")
        #expect(images["a"]?.size == .gibibytes(2) && images["b"]?.from == "a" && images["b"]?.setup == "echo")
        for (declaration, message) in [
            ("{from: a}", "is made from itself"), ("{packages: gcc, kernel: /k}", "changes another image"),
            ("{from: debian, packages: 'GCC 12'}", "is not the name of a Debian package"),
            ("{from: debain}", "there is no image `debain`"),
        ] {
            let wrong =
                "lab: l\nimages:\n  a: {from: b}\n  b: \(declaration)\nguests: {g: {image: b}}\n"
                + "tasks: [{name: t, run: 'true'}]\n"
            let problems = try #require(#expect(throws: DiagnosticList.self) { try lab(wrong) })
            #expect(problems.all.contains { $0.message.contains(message) }, "\(problems.rendered())")
        }
    }
}
