import Glibc
import HostSystem
import Testing

/// What can be known to be wrong is said before anything boots. These tests boot nothing.
@Suite(.requiresVMLab)
struct RefusalTests {
    /// Runs a lab that must be refused; returns what was said.
    private func refusal(
        _ vmlab: VMLab, _ lab: String, status: Int32 = 2, _ location: SourceLocation = #_sourceLocation,
        arguments: [String] = [], environment: [String: String?] = [:]
    ) async throws -> String {
        try vmlab.write("lab.yaml", lab)
        let run = try await vmlab.start(["run", "lab.yaml", "--out", "out"] + arguments, environment: environment)
        let ended = try await run.ended(within: .seconds(60))
        #expect(ended.status == status, "\(ended.everything)", sourceLocation: location)
        #expect(vmlab.events().isEmpty, "something ran", sourceLocation: location)
        #expect(access("\(vmlab.path)/out", F_OK) != 0, "results of nothing", sourceLocation: location)
        return ended.err
    }

    @Test func aDozenMistakesAreADozenErrorsAtTheirLines() async throws {
        try await VMLab.with { vmlab in
            let fixtures = "\(VMLab.root)/Tests/LabSpecTests/Fixtures/bad"
            let lab = try #require(SmallFile.text("\(fixtures)/a-dozen.yaml"))
            let said = try await refusal(vmlab, lab)
            let golden = try #require(SmallFile.text("\(fixtures)/a-dozen.txt"))
            let places = { (text: String) in
                text.split(separator: "\n").compactMap { $0.firstMatch(of: #/^[^ ]*\.yaml(:\d+:\d+): error: /#)?.1 }
            }
            #expect(places(said).count >= 12)
            #expect(places(said) == places(golden))
            #expect(said.hasSuffix("\(places(golden).count) errors\n"))
            #expect(said.contains("^"))

            // `validate` says the very same.
            let validated = try await vmlab("validate", "lab.yaml")
            #expect(validated.status == 2 && validated.err == said)
        }
    }

    @Test func theBuiltInBackendHasNoNestedGuests() async throws {
        try await VMLab.with { vmlab in
            let said = try await refusal(
                vmlab,
                """
                lab: inner
                guests:
                  box: {image: busybox, nested: true}
                tasks:
                  - {name: look, run: ls /dev/kvm}
                """, arguments: ["--backend", "kvm"])
            #expect(
                said.contains("lab.yaml:3:3: error: box: the built-in backend has no processors for `nested: true`"))
        }
    }

    @Test func missingAndUnreadableFiles() async throws {
        try await VMLab.with { vmlab in
            let said = try await refusal(
                vmlab,
                """
                lab: missing
                images:
                  mine: {os: linux, kernel: ./bzImage, initrd: ./initrd}
                guests:
                  box: {image: mine}
                tasks:
                  - {name: copy, put: {./nothing.txt: /root/x}, run: 'true'}
                """)
            for line in ["lab.yaml:3:29: error", "lab.yaml:3:48: error", "lab.yaml:7:24: error"] {
                #expect(said.contains(line), "\(line) in:\n\(said)")
            }
        }
    }

    @Test func anUnreadableSource() async throws {
        try await VMLab.with { vmlab in
            try vmlab.write("secret", "nobody's")
            #expect(chmod("\(vmlab.path)/secret", 0) == 0)
            try vmlab.write(
                "lab.yaml",
                """
                lab: unreadable
                guests:
                  box: {image: busybox}
                tasks:
                  - {name: copy, put: {./secret: /root/x}, run: 'true'}
                """)
            // Root reads everything, unless it gives that up.
            let capabilities = "-dac_override,-dac_read_search"
            let wrapper =
                geteuid() == 0
                ? ["setpriv", "--bounding-set", capabilities, "--inh-caps", capabilities] : []
            let ended = try await vmlab.start(["run", "lab.yaml", "--out", "out"], wrapper: wrapper).ended()
            #expect(ended.status == 2, "\(ended.everything)")
            #expect(ended.err.contains("lab.yaml:5:"), "\(ended.err)")
            #expect(ended.err.contains("./secret"), "\(ended.err)")
            #expect(vmlab.events().isEmpty)
        }
    }

    @Test func aKernelThatIsNone() async throws {
        try await VMLab.with { vmlab in
            try vmlab.write("bzImage", "this is no kernel")
            let said = try await refusal(
                vmlab,
                """
                lab: no-kernel
                images:
                  mine: {from: busybox, kernel: ./bzImage}
                guests:
                  box: {image: mine}
                tasks:
                  - {name: t, run: 'true'}
                """)
            #expect(said.contains("bzImage"), "\(said)")
        }
    }

    @Test func aFleetThatNeverFits() async throws {
        try await VMLab.with { vmlab in
            let said = try await refusal(
                vmlab,
                """
                lab: giants
                guests:
                  giant: {image: busybox, memory: 900GiB}
                  dwarf: {image: busybox, memory: 128MiB}
                tasks:
                  - {name: t, run: 'true'}
                """)
            #expect(said.contains("lab.yaml:3:"), "\(said)")
            #expect(said.contains("900"), "the sum: \(said)")
            #expect(said.firstMatch(of: #/\d(\.\d+)?\s?GiB/#) != nil, "the limit: \(said)")

            let limited = try await refusal(
                vmlab,
                """
                lab: limited
                guests:
                  box: {image: busybox, memory: 512MiB}
                tasks:
                  - {name: t, run: 'true'}
                """, arguments: ["--memory", "300MiB"])
            #expect(limited.contains("--memory 300MiB"), "\(limited)")
        }
    }

    @Test func qemuIsMissing() async throws {
        try await VMLab.with { vmlab in
            let said = try await refusal(
                vmlab,
                """
                lab: bare
                guests:
                  box: {image: busybox}
                tasks:
                  - {name: t, run: 'true'}
                """, status: 3, environment: ["PATH": "\(vmlab.path)/nothing"])
            #expect(said.contains("qemu-system-x86_64"), "\(said)")
            #expect(said.contains("apt-get install") && said.contains("qemu-system-x86"), "\(said)")

            let doctor = try await vmlab("doctor", environment: ["PATH": "\(vmlab.path)/nothing"])
            #expect(doctor.status == 3)
            #expect(doctor.out.contains("[FAIL] QEMU"), "\(doctor.everything)")
        }
    }

    @Test func resultsThatWouldOverwriteSomething() async throws {
        try await VMLab.with { vmlab in
            try vmlab.write("out/mine.txt", "mine")
            try vmlab.write(
                "lab.yaml",
                """
                lab: careful
                guests:
                  box: {image: busybox}
                tasks:
                  - {name: t, run: 'true'}
                """)
            let ended = try await vmlab("run", "lab.yaml", "--out", "out")
            #expect(ended.status == 2, "\(ended.everything)")
            #expect(ended.err.contains("out is not empty"))
            #expect(vmlab.files(under: "out") == ["mine.txt"])
        }
    }

    @Test("S16: an answer that cannot be written is an error, said on standard error")
    func standardOutputThatTakesNothing() async throws {
        try await VMLab.with { vmlab in
            try vmlab.write(
                "lab.yaml", "lab: full\nguests: {lin: {image: busybox}}\ntasks: [{name: one, run: 'true'}]\n")
            try vmlab.write(
                "failing.yaml", "lab: full\nguests: {lin: {image: busybox}}\ntasks: [{name: one, run: 'false'}]\n")
            let shell = try #require(Tool.find("sh"))
            for verb in [
                ["validate", "lab.yaml"], ["plan", "lab.yaml"], ["schema"], ["images", "list"], ["doctor"], ["ps"],
                ["gc"], ["--help"], ["--version"], ["help", "run"],
            ] {
                for (to, reason) in [("> /dev/full", "No space left on device"), (">&-", "Bad file descriptor")] {
                    let run = try await vmlab.start(verb, wrapper: [shell, "-c", "exec \"$@\" \(to)", "sh"])
                    let ended = try await run.ended(within: .seconds(60))
                    #expect(ended.status == 3, "\(verb) \(to): \(ended.everything)")
                    let words = "error: cannot write to standard output: \(reason)"
                    #expect(ended.err.contains(words), "\(verb) \(to): \(ended.everything)")
                }
            }
            // A run goes on: its results are on disk. Its status says that something is missing, if nothing else does.
            for (options, lab, status) in [([], "lab.yaml", 3), (["--json"], "lab.yaml", 3), ([], "failing.yaml", 1)] {
                let verb = ["run", lab, "--out", "out"] + options
                let run = try await vmlab.start(verb, wrapper: [shell, "-c", "exec \"$@\" > /dev/full", "sh"])
                let ended = try await run.ended(within: .seconds(60))
                #expect(ended.status == status, "\(verb): \(ended.everything)")
                let words = "error: cannot write to standard output: No space left on device"
                #expect(ended.err.contains(words), "\(verb): \(ended.everything)")
                #expect(try vmlab.report().task("one").outcome == (status == 1 ? .failed : .passed))
            }
            // A reader that has seen enough is no trouble.
            let run = try await vmlab.start(["schema"], wrapper: [shell, "-c", "\"$@\" | head -1", "sh"])
            let ended = try await run.ended(within: .seconds(60))
            #expect(ended.status == 0 && ended.err.isEmpty, "\(ended.everything)")
        }
    }

    @Test(
        "Too little memory is told by what its image needs, which is taken",
        arguments: ["0", "0MiB", "1MiB", "95.9MiB"])
    func tooLittleMemory(_ memory: String) async throws {
        try await VMLab.with { vmlab in
            func validate(_ memory: String) async throws -> Ended {
                try vmlab.write(
                    "lab.yaml",
                    "lab: x\nguests: {lin: {image: busybox, memory: \(memory)}}\ntasks: [{name: t, run: date}]\n")
                return try await vmlab("validate", "lab.yaml")
            }
            let refused = try await validate(memory)
            #expect(
                refused.status == 2 && refused.err.contains("(write `memory: 96MiB` or more"), "\(refused.everything)")
            let taken = try await validate("96MiB")
            #expect(taken.status == 0, "\(taken.everything)")
        }
    }

    @Test("Lua that is none, and Lua files that are not for the lab, are told in their place and not looked into")
    func luaThatIsNone() async throws {
        try await VMLab.with { vmlab in
            try vmlab.write("secret.lua", "the secret is out\n")
            for (lua, message) in [
                (
                    "/etc/passwd",
                    "`/etc/passwd` is not valid Lua (write Lua, or the path of a file whose name ends in `.lua`)"
                ),
                ("work.sh", "`work.sh` is not valid Lua (write Lua, or the path of a file whose name ends in `.lua`)"),
                ("./nosuch.lua", "the Lua file `./nosuch.lua` does not exist"),
                ("../secret.lua", "the Lua file `../secret.lua` is outside of what may be read here"),
            ] {
                try vmlab.write(
                    "lab/lab.yaml", "lab: x\nguests: {lin: {image: busybox}}\ntasks:\n  - name: t\n    lua: \(lua)\n")
                let ended = try await vmlab("validate", "lab/lab.yaml")
                #expect(ended.status == 2, "\(ended.everything)")
                #expect(ended.err.contains("lab/lab.yaml:5:10: error: \(message)"), "\(ended.everything)")
                #expect(!ended.err.contains("errors") && !ended.err.contains("secret is"), "\(ended.everything)")
            }
        }
    }

    @Test("A byte order mark at the start is no part of a lab, a script or a module")
    func byteOrderMarks() async throws {
        try await VMLab.with { vmlab in
            let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
            try vmlab.write(
                "lab.yaml",
                bytes: mark + "lab: x\nguests: {lin: {image: busybox}}\ntasks: [{name: t, lua: ./task.lua}]\n".utf8)
            try vmlab.write("task.lua", bytes: mark + "print(1)\n".utf8)
            try vmlab.write("module.lua", bytes: mark + "return 7\n".utf8)
            try vmlab.write("script.lua", bytes: mark + "print(require 'module')\n".utf8)
            let valid = try await vmlab("validate", "lab.yaml", "script.lua")
            #expect(valid.status == 0, "\(valid.everything)")
            let ended = try await vmlab("run", "script.lua", "--out", "out")
            #expect(ended.status == 0 && ended.out.contains("7"), "\(ended.everything)")
        }
    }

    @Test("S18: pipes are refused as labs and as scripts", arguments: ["lab.yaml", "lab.lua"])
    func pipes(_ name: String) async throws {
        try await VMLab.with { vmlab in
            try #require(mkfifo("\(vmlab.path)/\(name)", 0o600) == 0)
            for verb in ["validate", "run"] {
                let ended = try await vmlab(verb, name, within: .seconds(30))
                #expect(ended.status == 2, "\(ended.everything)")
                #expect(ended.err.contains("`\(name)` is a pipe, not a file"), "\(ended.everything)")
            }
        }
    }

    @Test("N23: near misses on the command line and in paths of other systems")
    func nearMisses() async throws {
        try await VMLab.with { vmlab in
            let help = try await vmlab("help", "vaildate")
            #expect(help.status == 2, "\(help.everything)")
            #expect(help.err.contains("there is no verb `vaildate` (did you mean `validate`?)"), "\(help.everything)")
            #expect(try await vmlab("help", "images", "list").status == 0)
            try vmlab.write("x", "x")
            try vmlab.write(
                "lab.yaml",
                """
                lab: paths
                guests: {lin: {image: busybox}, win: {image: wine}}
                tasks:
                  - {name: drive, on: lin, run: 'true', put: {./x: 'C:\\lab\\x'}}
                  - {name: slash, on: win, run: 'ver', get: [/root/out]}
                  - {name: good, on: win, run: 'ver', get: ['C:\\out']}
                """)
            let ended = try await vmlab("validate", "lab.yaml")
            #expect(ended.status == 2, "\(ended.everything)")
            for words in [
                "lab.yaml:4:53: error: `put` of the task `drive`: `C:\\lab\\x` is not a path of `lin`, which is Linux",
                "lab.yaml:5:46: warning: `get` of the task `slash`: `/root/out` is not a path of `win`, which is Windows-like",
            ] {
                #expect(ended.err.contains(words), "\(ended.err)")
            }
            #expect(!ended.err.contains("lab.yaml:6"))
        }
    }

    @Test(
        "N14: doctor writes where runs will write, and says what is wrong there",
        arguments: [
            ("XDG_CACHE_HOME", "image cache"), ("XDG_STATE_HOME", "state"), ("TMPDIR", "temporary files"),
        ])
    func unwritableFolders(_ variable: String, _ subject: String) async throws {
        try await VMLab.with { vmlab in
            // Not even root can make a folder in a file, or in /proc.
            for place in ["\(try vmlab.write("file", "x"))/below", "/proc/1"] {
                let doctor = try await vmlab("doctor", environment: [variable: place])
                #expect(doctor.status == 3)
                let lines = doctor.out.split(separator: "\n")
                let index = try #require(lines.firstIndex { $0.hasPrefix("[FAIL] \(subject): ") }, "\(doctor.out)")
                #expect(
                    lines[index].contains("cannot be written to")
                        && lines[index + 1].contains("remedy: set \(variable)"))
            }
        }
    }
}
