import HostSystem
import LabImages
import LabResults
import Testing

extension GuestTests {
    /// Systems of one's own, with the consoles that such have (`Tests/Dialogues`): each works, or is told by name with its remedy
    /// long before its boot deadline.
    @Suite struct BootTests {
        /// What guests fail with, in their sentence and in its remedy.
        private static let told: [String: (sentence: String, remedy: String)] = [
            "wrongpw": ("refused the login", "`user:` and `password:`"),
            "emerg": ("emergency mode", "/etc/fstab"),
            "menu": ("waits for an answer", "console.reactions"),
            "nosh": ("not that of a POSIX shell", "console.reactions"),
            "blank": ("no bootable system", "blank"),
            "silent": ("printed nothing on its console", "add `console=ttyS0`"),
            "noroot": ("Unable to mount root fs", "root=/dev/vda1"),
        ]
        private static let working = ["late0", "clobber", "noisy", "user", "userperm", "answered"]

        @Test("A12: consoles and boots of every kind, in real guests")
        func consoles() async throws {
            try await VMLab.with { vmlab in
                let built = try await Tool.run(
                    "\(VMLab.root)/Tests/Dialogues/build", ["\(vmlab.path)/initrd"])
                try built.checked("the dialogues' initial RAM disk could not be built")
                let kernel = try #require(
                    try await ImageStore().image(named: "busybox") { _, _ in }.kernel)
                try vmlab.write("blank", bytes: [UInt8](repeating: 0, count: 1 << 20))
                let modes =
                    Self.told.keys.filter { !["blank", "silent", "noroot", "wrongpw"].contains($0) } + Self.working
                try vmlab.write(
                    "lab.yaml",
                    """
                    lab: consoles
                    timeouts: {boot: 100s}
                    defaults: {backend: qemu, memory: 96MiB}
                    images:
                      box:
                        kernel: \(kernel)
                        initrd: ./initrd
                        cmdline: console=ttyS0
                        console: &console {dialect: sh, ports: 1, announces: false, user: admin, password: s3cret}
                      wrong:
                        kernel: \(kernel)
                        initrd: ./initrd
                        cmdline: console=ttyS0
                        console: {dialect: sh, ports: 1, announces: false, user: admin, password: guess}
                      answered:
                        kernel: \(kernel)
                        initrd: ./initrd
                        cmdline: console=ttyS0 mode=menu
                        console: {dialect: sh, ports: 1, reactions: [{expect: 'Press Enter', send: "\\n"}]}
                      silent: {kernel: \(kernel), initrd: ./initrd, cmdline: 'rdinit=/bin/sleep -- 1000', console: *console}
                      noroot: {kernel: \(kernel), console: *console}
                      blank: {os: linux, disk: ./blank, console: *console}
                    guests:
                    \(modes.filter { $0 != "answered" }.sorted().map { "  \($0): {image: box, cmdline: mode=\($0)}" }
                        .joined(separator: "\n"))
                      answered: {image: answered}
                      wrongpw: {image: wrong, cmdline: mode=wrongpw}
                      silent: {image: silent}
                      noroot: {image: noroot}
                      blank: {image: blank}
                    tasks:
                      - {name: look, run: 'printf "a\\tb"; exit 6', expect: {exit: 6, stdout: "^a\\tb$"}}
                    """)
                let run = try await vmlab("run", "lab.yaml", "--allow", kernel, "--out", "out")
                #expect(run.status == 3, "\(run.everything)")
                let report = try vmlab.report()
                for name in Self.working {
                    #expect(try report.task("look", on: name).outcome == .passed, "\(run.everything)")
                }
                for (name, expected) in Self.told {
                    let message = try report.task("look", on: name).message ?? ""
                    #expect(
                        message.contains(expected.sentence) && message.contains(expected.remedy), "\(name): \(message)")
                }
            }
        }

        @Test(
            "N19, N7: a guest of one port: files arrive byte for byte, its console log stays text, its other port is read"
        )
        func filesOverOnePort() async throws {
            try await VMLab.with { vmlab in
                try await Tool.run("\(VMLab.root)/Tests/Dialogues/build", ["\(vmlab.path)/initrd"])
                    .checked("the dialogues' initial RAM disk could not be built")
                let kernel = try #require(
                    try await ImageStore().image(named: "busybox") { _, _ in }.kernel)
                var random = SystemRandomNumberGenerator()
                let bytes = (0..<20_000).map { _ in UInt8.random(in: 0...255, using: &random) }
                try vmlab.write("data", bytes: bytes)
                try vmlab.write(
                    "lab.yaml",
                    """
                    lab: files
                    images:
                      box:
                        kernel: \(kernel)
                        initrd: ./initrd
                        cmdline: console=ttyS0 mode=plain
                        console: {dialect: sh, ports: 1, announces: false, user: admin, password: s3cret}
                    guests: {box: {image: box, backend: qemu, memory: 96MiB, boot: cold}}
                    tasks:
                      - {name: copy, put: {./data: /tmp/data}, run: cp /tmp/data /tmp/back, get: [/tmp/back]}
                      - {name: other, run: 'head -c 200000 /tmp/data > /dev/ttyS1; tr "\\\\0" x < /dev/zero | head -c 100000 > /dev/ttyS1'}
                    """)
                let run = try await vmlab("run", "lab.yaml", "--allow", kernel, "--out", "out")
                #expect(run.status == 0, "\(run.everything)")
                #expect(try SmallFile.bytes("\(vmlab.path)/out/tasks/copy/box/artifacts/back", limit: .max) == bytes)
                let log = try SmallFile.bytes("\(vmlab.path)/out/guests/box/console.log", limit: .max)
                #expect(log.count > 1000)
                // 0x1e marks where commands begin and end. Until the first, the guest's own line editor is at work, and steps back.
                let first = try #require(log.firstIndex(of: 0x1e))
                let controls = log.indices.filter { index in
                    log[index] < 0x20 && ![0x09, 0x0a, 0x0d, 0x1b, 0x1e].contains(log[index])
                        && !(log[index] == 0x08 && index < first)
                }
                #expect(controls.isEmpty)
                #expect(String(validating: log, as: UTF8.self) != nil)
            }
        }
    }
}
