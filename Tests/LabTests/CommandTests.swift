import LabResults
import Testing

extension GuestTests {
    /// Users, folders, inputs and standard error of commands in real guests.
    @Suite struct CommandTests {
        private static let everyByte = (0..<300).flatMap { _ in Array<UInt8>(0...255) }

        @Test func linux() async throws {
            try await VMLab.with { vmlab in
                try vmlab.write("input", bytes: Self.everyByte)
                try vmlab.write(
                    "lab.yaml",
                    #"""
                    lab: commands
                    guests:
                      box: {image: debian}
                    tasks:
                      - name: prepare
                        put: {./input: /root/input}
                        run: |
                          echo 'ada:x:1500:1500::/home/ada:/bin/false' >> /etc/passwd
                          echo 'wheels:x:1600:ada' >> /etc/group
                          mkdir -p /home/ada
                          chown 1500:1500 /home/ada
                          mkdir -m 700 /closed
                      - {name: user, user: ada, run: "id -u; id -G; echo $HOME $USER $LOGNAME $SHELL; pwd; echo x > mine"}
                      - {name: input, stdin: {file: ./input}, run: cmp - /root/input}
                      - {name: all, user: ada, cwd: /, stdin: "it's\n", run: "cat; pwd; id -u >&2; exit 3", expect: {exit: 3, stderr: '\A1500\n\z'}}
                      - {name: killed, stderr: separate, run: "echo last >&2; kill -9 $$"}
                      - {name: late, stderr: separate, timeout: 10s, run: "echo begun >&2; sleep 1000"}
                      - {name: no-user, user: nobody-at-all, run: id}
                      - {name: no-folder, cwd: /nowhere, run: pwd}
                      - {name: closed, user: ada, cwd: /closed, run: pwd}
                      - {name: after, run: id -u}
                    """#)
                let ended = try await vmlab("run", "lab.yaml", "--out", "out")
                let report = try vmlab.report()
                #expect(ended.status == 4, "\(ended.everything)")
                func text(_ task: String, _ file: String = "output") throws -> String {
                    try vmlab.text("out/tasks/\(task)/box/\(file)")
                }
                let user = try text("user")
                #expect(user == "1500\n1500 1600\n/home/ada ada ada /bin/false\n/home/ada\n")
                for task in ["user", "input", "all", "after"] {
                    #expect(try report.task(task).outcome == .passed, "\(report.outcomes)")
                }
                #expect(try text("all", "stderr") == "1500\n")
                #expect(try text("all").contains("it's\n/\n"))
                #expect(try report.task("killed").message == "killed by SIGKILL (137), expected 0")
                #expect(try text("killed", "stderr") == "last\n")
                #expect(try report.task("late").outcome == .timeout)
                #expect(try text("late", "stderr") == "begun\n")
                for (task, words) in [
                    ("no-user", "the guest has no user `nobody-at-all`"),
                    ("no-folder", "the guest has no folder /nowhere"),
                    ("closed", "the guest has no folder /closed that the user `ada` can enter"),
                ] {
                    let result = try report.task(task)
                    #expect(result.outcome == .failed && result.exit == nil)
                    #expect(result.message?.hasPrefix(words) == true, "\(result.message ?? "")")
                }
                #expect(try text("after") == "0\n")
            }
        }

        @Test func windows() async throws {
            try await VMLab.with { vmlab in
                try vmlab.write("input", "of the host\r\n")
                try vmlab.write(
                    "lab.yaml",
                    #"""
                    lab: commands
                    guests:
                      win: {image: wine}
                    tasks:
                      - {name: text, stdin: "two words\r\n", run: "set /p x=\necho [%x%]", expect: {stdout: '\[two words\]'}}
                      - {name: file, stdin: {file: ./input}, run: "set /p x=\necho [%x%]", expect: {stdout: '\[of the host\]'}}
                      - {name: folder, cwd: 'C:\windows', run: cd, expect: {stdout: '(?i)c:\\windows'}}
                      - {name: no-folder, cwd: 'C:\no such (x)', run: echo never}
                    """#)
                let ended = try await vmlab("run", "lab.yaml", "--out", "out")
                let report = try vmlab.report()
                for task in ["text", "file", "folder"] {
                    #expect(try report.task(task).outcome == .passed, "\(ended.everything)")
                }
                let missing = try report.task("no-folder")
                #expect(missing.outcome == .failed && missing.exit == nil)
                #expect(missing.message?.hasPrefix(#"the guest has no folder C:\no such (x) to run"#) == true)
            }
        }
    }
}
