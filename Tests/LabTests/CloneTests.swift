import Glibc
import LabResults
import Testing

extension GuestTests {
    /// Clones are guests of their own.
    @Suite struct CloneTests {
        /// A clone's first command runs in a cmd.exe that was started before its golden was saved, the others do not.
        @Test func windowsNames() async throws {
            try await VMLab.with { vmlab in
                let names = """
                    hostname
                    echo %COMPUTERNAME% %USERDOMAIN% %LOGONSERVER% %0
                    reg query HKLM\\System\\CurrentControlSet\\Control\\ComputerName\\ActiveComputerName /v ComputerName
                    reg query HKLM\\System\\CurrentControlSet\\Services\\Tcpip\\Parameters /v Hostname
                    """
                let lines = names.replacing("\n", with: "\n      ")
                try vmlab.write(
                    "lab.yaml",
                    """
                    lab: names
                    timeouts: {boot: 3m, task: 3m}
                    guests:
                      long-named-windows: {image: wine, count: 2, boot: clone}
                    tasks:
                      - name: first
                        on: long-named-windows
                        run: |
                          \(lines)
                      - name: second
                        on: long-named-windows
                        needs: first
                        run: |
                          \(lines)
                      - name: status
                        on: long-named-windows
                        needs: second
                        reset: snapshot
                        run: exit -1073741819
                        expect: {exit: -1073741819}
                      - name: hangs
                        on: long-named-windows
                        needs: status
                        reset: snapshot
                        timeout: 3s
                        run: ping -n 1000 127.0.0.1
                    """)
                let run = try await vmlab("run", "lab.yaml", "--out", "out")
                #expect(run.status == 1 || run.status == 4, "\(run.everything)")
                let report = try vmlab.report()
                for number in 1...2 {
                    let guest = "long-named-windows-\(number)"
                    for task in ["first", "second"] {
                        let said = String(decoding: try vmlab.output(task, on: guest), as: UTF8.self)
                        let lines = said.split(separator: "\r\n").map(String.init)
                        let short = "LONG-NAMED-WIND"
                        #expect(lines.first == short, "\(said)")
                        let variables = "\(short) \(short) \\\\\(short) C:\\lab\\task.bat"
                        #expect(lines.dropFirst().first == variables, "\(said)")
                        #expect(said.contains("ComputerName    REG_SZ    \(short)\r\n"), "\(said)")
                        #expect(said.contains("Hostname    REG_SZ    \(guest)\r\n"), "\(said)")
                    }
                    #expect(try report.task("status", on: guest).outcome == .passed)
                    #expect(try report.task("hangs", on: guest).outcome == .timeout)
                }
            }
        }

        @Test func linuxIdentity() async throws {
            try await VMLab.with { vmlab in
                try vmlab.write(
                    "lab.yaml",
                    """
                    lab: identity
                    networks: {net: {}}
                    guests:
                      box: {image: busybox, count: 3, boot: clone, memory: 128MiB, networks: [net]}
                    tasks:
                      - name: who
                        on: box
                        run: |
                          hostname
                          cat /sys/class/net/eth0/address
                          head -c 16 /dev/urandom | md5sum
                          grep -c "127.0.0.1 localhost $(hostname)$" /etc/hosts
                      - {name: time, on: box, run: date +%s}
                      - {name: peers, on: box, needs: who, run: ping -c 1 -W 10 box-1 && ping -c 1 -W 10 box-3}
                    """)
                let before = UInt64(time(nil))
                let run = try await vmlab("run", "lab.yaml", "--out", "out")
                #expect(run.status == 0, "\(run.everything)")
                var seen: Set<String> = []
                for number in 1...3 {
                    let who = String(decoding: try vmlab.output("who", on: "box-\(number)"), as: UTF8.self)
                    let lines = who.split(separator: "\n").map(String.init)
                    #expect(lines.first == "box-\(number)" && lines.last == "1", "\(who)")
                    seen.formUnion(lines.dropLast())
                    let clock = String(decoding: try vmlab.output("time", on: "box-\(number)"), as: UTF8.self)
                    let seconds = try #require(UInt64(clock.dropLast()))
                    #expect(seconds >= before && seconds <= UInt64(time(nil)) + 1)
                }
                #expect(seen.count == 9)
            }
        }
    }
}
