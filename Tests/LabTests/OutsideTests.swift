import Glibc
import HostSystem
import LabResults
import LabTestSupport
import Testing

extension GuestTests {
    /// Networks with `nat: true`.
    @Suite(.enabled("passt is not there: `apt-get install passt`") { Tool.find("passt") != nil })
    struct OutsideTests {
        @Test("S12: a guest reaches no service on the host's 127.0.0.1 but those that are open by name, and names")
        func loopback() async throws {
            let (closed, open) = (try LoopbackListener(), try LoopbackListener())
            try await VMLab.with { vmlab in
                try vmlab.write(
                    "lab.yaml",
                    """
                    lab: outside
                    networks: {net: {nat: true, host: [\(open.port)]}}
                    guests: {box: {image: busybox, networks: [net]}}
                    tasks:
                      - name: closed
                        run: "for host in 10.0.2.2 10.0.2.3; do nc -w 2 $host \(closed.port) </dev/null && exit 1; done; true"
                      - {name: open, run: "nc -w 5 10.0.2.2 \(open.port) </dev/null"}
                      - {name: names, run: nslookup deb.debian.org}
                    """)
                let ended = try await vmlab("run", "lab.yaml", "--out", "out")
                let report = try vmlab.report()
                for name in ["closed", "open"] {
                    let task = try report.task(name)
                    #expect(task.outcome == .passed, "\(name): \(task.message ?? "") \(ended.everything)")
                }
                #expect(open.wasReached && !closed.wasReached)
                // Where the host itself knows the name.
                let known = try await Tool.run("getent", ["ahostsv4", "deb.debian.org"])
                if known.status.isSuccess {
                    let address = String(known.text.prefix { $0 != " " })
                    let answer = String(decoding: try vmlab.output("names", on: "box"), as: UTF8.self)
                    #expect(try report.task("names").outcome == .passed && answer.contains(address), "\(answer)")
                }
            }
        }

        @Test("S12: without passt a network with nat is a host error that names the package, and nothing is open")
        func missing() async throws {
            try await VMLab.with { vmlab in
                try vmlab.write(
                    "lab.yaml",
                    """
                    lab: outside
                    networks: {net: {nat: true}}
                    guests: {box: {image: busybox, networks: [net]}}
                    tasks: [{name: one, run: 'true'}]
                    """)
                // All that is found in PATH but passt.
                for folder in ["/usr/bin", "/bin", "/usr/sbin", "/sbin"] {
                    for name in (try? FileTree.names(in: folder)) ?? [] where name != "passt" {
                        symlink("\(folder)/\(name)", "\(vmlab.path)/\(name)")
                    }
                }
                let environment: [String: String?] = ["PATH": vmlab.path]
                let ended = try await vmlab("run", "lab.yaml", "--out", "out", environment: environment)
                #expect(ended.status == 3, "\(ended.everything)")
                #expect((ended.out + ended.err).contains("apt-get install passt"), "\(ended.everything)")
                let doctor = try await vmlab("doctor", environment: environment)
                #expect(doctor.out.contains("passt: missing; networks with `nat: true`"), "\(doctor.everything)")
            }
        }
    }
}
