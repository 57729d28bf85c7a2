import Foundation
import Testing

extension GuestTests {
    /// Whole Debians, and images that labs make of them.
    @Suite struct ImageTests {
        @Test(
            "an image is made once from packages, files and commands, and cloned from then on", .timeLimit(.minutes(10))
        )
        func made() async throws {
            try await VMLab.with { vmlab in
                try vmlab.write("site/index.html", "hello\n")
                let lab = """
                    lab: made
                    images:
                      tool:
                        from: debian
                        packages: bc
                        files: {./site/: /srv/site/}
                        setup: |
                          echo "$(echo 6*7 | bc) by $(id -un)" > /etc/made
                          chown user /srv/site/index.html
                    guests: {g: {image: tool, count: 2, boot: clone}}
                    tasks:
                      - {name: made, on: g, run: cat /etc/made, expect: {stdout: '^42 by root$'}}
                      - {name: file, on: g, run: "stat -c '%U %a' /srv/site/index.html; cat /srv/site/index.html", expect: {stdout: '^user 644$'}}
                      - {name: own, on: g, run: 'hostname > /etc/own; cat /etc/own; echo 1+1 | bc'}
                      - {name: bash, on: g, run: 'echo ${BASH_VERSION:0:1}', shell: bash, expect: {stdout: '^5$'}}
                    """
                try vmlab.write("lab.yaml", lab)
                let first = try await vmlab("run", "lab.yaml", "--out", "out")
                #expect(first.status == 0, "\(first.everything)")
                for guest in ["g-1", "g-2"] {
                    #expect(try vmlab.text("out/tasks/own/\(guest)/output") == "\(guest)\n2\n")
                }
                let second = try await vmlab("run", "lab.yaml", "--out", "again")
                #expect(second.status == 0 && !second.out.contains("image tool"), "\(second.everything)")
                // Another command is another image, and of one that fails the end of its output is shown.
                try vmlab.write(
                    "lab.yaml", lab.replacingOccurrences(of: "chown user", with: "echo before; chown nobody-here"))
                let failed = try await vmlab("run", "lab.yaml", "--out", "failed")
                #expect(failed.status == 3)
                #expect(failed.err.contains("the image tool cannot be made: its setup failed"), "\(failed.everything)")
                #expect(failed.err.contains("nobody-here"), "\(failed.everything)")
            }
        }

        @Test(
            "an image made of wine has its files, folders and registry in every guest, and what one writes outlasts its reboot",
            .timeLimit(.minutes(10)))
        func windows() async throws {
            try await VMLab.with { vmlab in
                try vmlab.write("tool.txt", "tool\n")
                let lab = #"""
                    lab: made
                    images:
                      tools:
                        from: wine
                        files: {./tool.txt: 'C:\tools\tool.txt'}
                        setup: |
                          mkdir C:\work
                          copy C:\tools\tool.txt C:\work\copy.txt
                          reg add HKCU\Software\Mine /v User /d 1 /f
                          reg add HKLM\Software\Mine /v Machine /d 2 /f
                    guests: {g: {image: tools, boot: clone}}
                    tasks:
                      - {name: file, run: 'type C:\tools\tool.txt C:\work\copy.txt', expect: {stdout: '(?s)tool.*tool'}}
                      - {name: user, run: 'reg query HKCU\Software\Mine /v User', expect: {stdout: 'User +REG_SZ +1'}}
                      - {name: machine, run: 'reg query HKLM\Software\Mine /v Machine', expect: {stdout: 'Machine +REG_SZ +2'}}
                      - {name: name, run: echo %COMPUTERNAME%, expect: {stdout: '^G'}}
                      - {name: write, run: reg add HKCU\Software\Mine /v User /d 3 /f, reboot: true}
                      - {name: kept, run: 'reg query HKCU\Software\Mine /v User', expect: {stdout: 'User +REG_SZ +3'}}
                    """#
                try vmlab.write("lab.yaml", lab)
                let made = try await vmlab("run", "lab.yaml", "--out", "out")
                #expect(made.status == 0, "\(made.everything)")
                try vmlab.write("lab.yaml", lab.replacingOccurrences(of: "mkdir C:\\work", with: "echo before& exit 7"))
                let failed = try await vmlab("run", "lab.yaml", "--out", "failed")
                #expect(failed.status == 3)
                #expect(failed.err.contains("the image tools cannot be made: its setup failed"), "\(failed.everything)")
                #expect(failed.err.contains("before"), "\(failed.everything)")
            }
        }

        @Test(
            "systemd's services run, and its clones have names and machine ids of their own", .timeLimit(.minutes(10)))
        func systemd() async throws {
            try await VMLab.with { vmlab in
                try vmlab.write(
                    "lab.yaml",
                    """
                    lab: systemd
                    images: {s: {from: debian, init: systemd}}
                    guests: {g: {image: s, count: 2, boot: clone}}
                    tasks:
                      - {name: runs, on: g, run: systemctl is-system-running, expect: {stdout: '^running$'}}
                      - {name: names, on: g, run: hostname; cat /etc/machine-id}
                      - {name: journal, on: g, run: logger -t vmlab found; journalctl --sync; journalctl -q -t vmlab -o cat, expect: {stdout: '^found$'}}
                    """)
                let run = try await vmlab("run", "lab.yaml", "--out", "out")
                #expect(run.status == 0, "\(run.everything)")
                let said = try ["g-1", "g-2"].map {
                    try vmlab.text("out/tasks/names/\($0)/output").split(separator: "\n")
                }
                #expect(said.map { $0.first ?? "" } == ["g-1", "g-2"])
                #expect(Set(said.map(\.last)).count == 2)
            }
        }

        @Test("clones have SSH host keys of their own, and run their hooks", .timeLimit(.minutes(10)))
        func clones() async throws {
            try await VMLab.with { vmlab in
                try vmlab.write(
                    "lab.yaml",
                    """
                    lab: own
                    images:
                      ssh: {from: debian, packages: openssh-server, on-clone: hostname >> /root/hooks}
                    guests: {g: {image: ssh, count: 2, boot: clone}}
                    tasks:
                      - {name: hook, on: g, run: cat /root/hooks}
                      - {name: key, on: g, run: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key}
                    """)
                let run = try await vmlab("run", "lab.yaml", "--out", "out")
                #expect(run.status == 0, "\(run.everything)")
                for guest in ["g-1", "g-2"] {
                    #expect(try vmlab.text("out/tasks/hook/\(guest)/output") == "\(guest)\n")
                }
                let keys = try ["g-1", "g-2"].map {
                    try vmlab.text("out/tasks/key/\($0)/output").split(separator: " ").dropFirst().first ?? ""
                }
                #expect(Set(keys).count == 2 && keys.allSatisfy { $0.hasPrefix("SHA256:") }, "\(keys)")
            }
        }
    }
}
