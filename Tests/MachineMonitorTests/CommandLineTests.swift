import Diagnostics
import Glibc
import HostSystem
import LabTestSupport
import QMP
import Testing

@testable import MachineMonitor

@Suite("The command line of vmlab-vmm")
struct CommandLineTests {
    private func messages(_ words: [String]) -> [String] {
        let list = #expect(throws: DiagnosticList.self) { try VMMCommand.parse(words) }
        return (list?.all ?? []).map { $0.message + ($0.remedy.map { " (\($0))" } ?? "") }
    }

    @Test("A kernel alone has its console on the terminal")
    func small() throws {
        #expect(
            try VMMCommand.parse(["--kernel", "vmlinuz"]) == .run(VMConfiguration(kernel: "vmlinuz", com1: .terminal)))
    }

    @Test("Every option, with its value behind a blank or an equals sign")
    func full() throws {
        let words = [
            "--kernel=k", "--initrd", "i", "--append", "console=ttyS0 a=b", "--memory=1G", "--cpus", "2", "--disk",
            "/a,,b=c,serial=root,readonly", "--disk=/d,overlay=/o", "--net", "local=/l,remote=/r,mac=52:54:00:00:00:01",
            "--net=tap=tap0", "--serial2", "/s", "--monitor", "/m", "--name", "n", "--no-sandbox",
        ]
        #expect(
            try VMMCommand.parse(words)
                == .run(
                    VMConfiguration(
                        name: "n", kernel: "k", initrd: "i", cmdline: "console=ttyS0 a=b", memory: 1 << 30, cpus: 2,
                        com1: .terminal, com2: .socket("/s"), monitor: .socket("/m"),
                        disks: [
                            .init(path: "/a,b=c", serial: "root", readOnly: true), .init(path: "/d", overlay: "/o"),
                        ],
                        networks: [
                            .init(mac: "52:54:00:00:00:01", link: .sockets(local: "/l", remote: "/r")),
                            .init(mac: "52:54:00:12:34:57", link: .tap("tap0")),
                        ], sandbox: false)))
    }

    @Test("All mistakes are told at once")
    func mistakes() {
        #expect(
            messages([
                "--kernl", "k", "--memory", "much", "--cpus=two", "--cpus", "3", "--disk", "/d,readolny", "--net",
                "tap=t,local=/l",
                "--no-sandbox=yes", "--initrd",
            ]) == [
                "there is no option `--kernl` (did you mean `--kernel`?)", "there is no option `k` (--help lists them)",
                "--memory `much` is not a size (write it as `256MiB`, `1GiB` or `1G`)", "--cpus `two` is not a number",
                "--cpus is given twice",
                "--disk `/d,readolny` has the unexpected word `readolny` (did you mean `readonly`?)",
                "--net `tap=t,local=/l` is not connected (write tap=NAME, or local=SOCKET,remote=SOCKET)",
                "--no-sandbox takes no value", "--initrd needs a value (--initrd FILE)",
            ])
        #expect(messages([]) == ["there is nothing to boot (give it --kernel or --config; see --help)"])
        #expect(messages(["--kernel", "k", "--cpus", "0"]) == ["cpus: 0 is not between 1 and 16"])
        #expect(
            messages(["--config", "f", "--cpus", "2"])
                == ["--config and --cpus cannot be combined (put the whole machine in one place)"])
    }

    @Test("Help names every option, whatever else is wrong")
    func help() throws {
        guard case .print(let text) = try VMMCommand.parse(["--nonsense", "--help"]) else {
            Issue.record("no text")
            return
        }
        for option in CommandLineOption.all { #expect(text.contains("  \(option.name)")) }
        #expect(text.split(separator: "\n").allSatisfy { $0.count <= 120 })
        #expect(try VMMCommand.parse(["--version"]) == .print("vmlab-vmm \(MonitorVersion.text)"))
    }

    @Test("A configuration comes from a file or an inherited descriptor")
    func configuration() async throws {
        let wanted = VMConfiguration(name: "from-file", kernel: "/k", com2: .descriptor(9))
        let bytes = Array(wanted.json.line.utf8)
        var pipe = try DescriptorPair.pipe()
        #expect(write(pipe.second.number, bytes, bytes.count) == bytes.count)
        pipe.second.close()
        let number = pipe.first.release()
        #expect(try VMMCommand.parse(["--config-fd", "\(number)"]) == .run(wanted))
        #expect(fcntl(number, F_GETFD) == -1, "it is closed once read")
        try await withTemporaryFolder { folder in
            let path = folder + "/machine.json"
            let file = try OwnedDescriptor.open(path, O_WRONLY | O_CREAT)
            #expect(write(file.number, bytes, bytes.count) == bytes.count)
            #expect(try VMMCommand.parse(["--config", path]) == .run(wanted))
            let list = #expect(throws: DiagnosticList.self) { try VMMCommand.parse(["--config", folder + "/none"]) }
            #expect(list?.all.first?.cause == "open \(folder)/none: No such file or directory")
        }
    }
}
