import Glibc
import HostSystem
import LabTestSupport
import Testing

extension GuestTests {
    /// `--log-level` and `VMLAB_LOG`, as people use them.
    @Suite struct LogTests {
        private static let lab = """
            lab: followed
            guests:
              box: {image: busybox, memory: 128MiB}
            tasks:
              - {name: hello, run: 'echo secret | tr s S'}
            """

        @Test(
            "A boot's phases, the machine's protocol and the console's commands can be followed; the report stays as it is"
        )
        func debug() async throws {
            try await VMLab.with { vmlab in
                try vmlab.write("lab.yaml", Self.lab)
                let ended = try await vmlab("run", "lab.yaml", "--out", "out", "--log-level", "debug")
                #expect(ended.status == 0, "\(ended.everything)")
                let records = [
                    "vmlab.commands: vmlab begins", "vmlab.machines: backend chosen",
                    "vmlab.images: image found image=busybox",
                    "vmlab.runner: admitted guest=box", "vmlab.machines: process started guest=box",
                    "vmlab.machines: QMP command guest=box command=qmp_capabilities",
                    "vmlab.console: session opened guest=box", "vmlab.guests: ready guest=box",
                    "vmlab.console: command ended guest=box bytes=7 exit=0", "vmlab.machines: process ended guest=box",
                    "vmlab.commands: vmlab ends status=0",
                ]
                for record in records { #expect(ended.err.contains(record), "\(record) in \(ended.err)") }
                for line in ended.err.split(separator: "\n") { #expect(line.contains(" debug vmlab."), "\(line)") }
                #expect(!ended.err.contains("secret") && !ended.out.contains("vmlab.runner"))
                #expect(ended.out.contains("1 passed"))
            }
        }

        @Test("One label at trace shows the commands themselves, and nothing of the others")
        func label() async throws {
            try await VMLab.with { vmlab in
                try vmlab.write("lab.yaml", Self.lab)
                let ended = try await vmlab(
                    "run", "lab.yaml", "--out", "out", environment: ["VMLAB_LOG": "vmlab.console=trace"])
                #expect(ended.status == 0, "\(ended.everything)")
                #expect(ended.err.contains("trace vmlab.console: command: echo secret | tr s S guest=box"))
                for line in ended.err.split(separator: "\n") { #expect(line.contains(" vmlab.console: "), "\(line)") }
            }
        }

        @Test("Standard error that nobody reads stops no run")
        func unread() async throws {
            try await VMLab.with { vmlab in
                try vmlab.write("lab.yaml", Self.lab)
                let pipe = try DescriptorPair.pipe()
                // F_SETPIPE_SZ, which the Glibc module does not have.
                #expect(fcntl(pipe.second.number, 1031, 4096) == 4096)
                let run = try await vmlab.start(
                    ["run", "lab.yaml", "--out", "out", "--log-level", "trace"],
                    standardError: .descriptor(pipe.second.number))
                let ended = try await run.ended(within: .seconds(120))
                #expect(ended.status == 0 && ended.out.contains("1 passed"), "\(ended.everything)")
                withExtendedLifetime(pipe) {}
            }
        }

        @Test("On a terminal that shows a log, no live lines are redrawn")
        func terminal() async throws {
            try await VMLab.with { vmlab in
                try vmlab.write("lab.yaml", Self.lab)
                var (ours, output): (Int32, Int32) = (-1, -1)
                try systemCall("openpty") { openpty(&ours, &output, nil, nil, nil) }
                defer { close(ours) }
                let cat = try await ChildProcess.spawn(
                    ChildConfiguration(
                        executable: "/bin/cat", standardInput: .descriptor(ours),
                        standardOutput: .file("\(vmlab.path)/read")))
                let run = try await vmlab.start(
                    ["run", "lab.yaml", "--out", "out", "--log-level", "debug"], environment: ["TERM": "xterm"],
                    standardOutput: .descriptor(output), standardError: .descriptor(output))
                close(output)
                #expect(try await run.ended().status == 0)
                _ = try await cat.wait()
                let read = try vmlab.text("read")
                #expect(read.contains("vmlab.guests: ready guest=box") && read.contains("1 passed"), "\(read)")
                #expect(!read.contains("\u{1B}[?25l"), "\(read)")
            }
        }

        @Test("A level that is none is told with those that are, and nothing is run")
        func wrong() async throws {
            try await VMLab.with { vmlab in
                try vmlab.write("lab.yaml", Self.lab)
                let option = try await vmlab("run", "lab.yaml", "--log-level", "debgu")
                #expect(option.status == 2 && option.err.contains("did you mean `debug`?"), "\(option.everything)")
                let variable = try await vmlab("validate", "lab.yaml", environment: ["VMLAB_LOG": "vmlab.runer=info"])
                #expect(variable.status == 2 && variable.out.isEmpty, "\(variable.everything)")
                #expect(variable.err.contains("VMLAB_LOG") && variable.err.contains("did you mean `vmlab.runner`?"))
            }
        }
    }
}
