import Glibc
import HostSystem
import LabTestSupport
import Testing

@testable import GuestControl

/// The script that gives a guest its addresses, run by busybox's shell beside tools that write down how they are called.
struct NetworkScriptTests {
    /// The card that every host has.
    private static let loopback = "00:00:00:00:00:00"

    /// Runs lines of script where only these tools are; returns its status, what it says and how it called them.
    private func run(
        _ lines: [String], tools: [String]
    ) async throws -> (status: Bool, said: String, calls: String) {
        try await withTemporaryFolder { folder in
            for tool in tools {
                let text = "#!/bin/sh\necho ${0##*/} $* >> \(folder)/calls\n"
                // Another process writes it: while we have it open, a child of another test could inherit that, and then it
                // cannot be run ("Text file busy").
                let made = try await Tool.run(
                    "/bin/sh", ["-c", "printf %s \"$1\" > \"$2\"; chmod 755 \"$2\"", "sh", text, "\(folder)/\(tool)"])
                try made.checked(tool)
            }
            for tool in ["sleep", "grep"] {
                try systemCall("symlink", tool) { symlink("/bin/true", "\(folder)/\(tool)") }
            }
            let script = (NetworkScript.functions.map { $0.hasPrefix("PATH=") ? "PATH=\(folder)" : $0 } + lines)
                .joined(separator: "\n")
            let result = try await Tool.run(
                "/bin/dash", ["-c", script], environment: ["PATH": folder])
            return (
                result.status.isSuccess, result.text + result.errors.joined(separator: "\n"),
                SmallFile.text("\(folder)/calls") ?? ""
            )
        }
    }

    @Test(
        "N5: the tools that distributions have",
        arguments: [
            (
                ["ip", "ifconfig", "busybox"],
                "ip addr add 10.100.0.1/16 dev lo\nip link set lo up\nip route add default via 10.0.2.2\n"
            ),
            (
                ["ifconfig", "route", "busybox"],
                "ifconfig lo 10.100.0.1 netmask 255.255.0.0 up\nroute add default gw 10.0.2.2\n"
            ),
            (
                ["busybox"],
                "busybox ip addr add 10.100.0.1/16 dev lo\nbusybox ip link set lo up\nbusybox ip route add default via 10.0.2.2\n"
            ),
        ])
    func tools(_ tools: [String], _ calls: String) async throws {
        let run = try await run(["set -e", "card \(Self.loopback) 10.100.0.1/16", "router 10.0.2.2"], tools: tools)
        #expect(run.status, "\(run.said)")
        #expect(run.calls == calls)
    }

    @Test("N5: a guest that has none of them says so")
    func none() async throws {
        let run = try await run(["card \(Self.loopback) 10.100.0.1/16"], tools: [])
        #expect(!run.status)
        #expect(run.said == "the guest has none of ip, ifconfig and busybox\n")
    }

    @Test("N6: a card without a driver names the driver that the kernel lacks")
    func noDriver() async throws {
        let run = try await run(["set -e", "card 52:54:00:00:00:01 10.100.0.1/16"], tools: ["ip"])
        #expect(!run.status)
        #expect(run.said.hasPrefix("no network card 52:54:00:00:00:01"))
        if access("/sys/bus/virtio/drivers/virtio_net", F_OK) != 0 {
            #expect(run.said.contains("the kernel has no driver for it and needs"))
            #expect(run.said.contains("virtio_net\nremedy: ") && run.said.contains("`modules:`"))
        }
        #expect(run.calls.isEmpty)
    }

    @Test("names come into a guest's file and leave it", arguments: [["/bin/dash"], ["/bin/bash"], ["busybox", "sh"]])
    func names(_ shell: [String]) async throws {
        try await withTemporaryFolder { folder in
            let file = "\(folder)/hosts"
            let script =
                ["printf '127.0.0.1 localhost\\n\\n10.100.0.2 b\\n10.100.0.20 b.b\\n# end\\n' >\(file)"]
                + NetworkScript.names(
                    adding: ["10.100.0.4 d", "10.100.0.5 e"], removing: ["10.100.0.2 b", "10.100.0.3 c"], in: file)
            try await Tool.run(shell[0], shell.dropFirst() + ["-c", script.joined(separator: "\n")]).checked("names")
            #expect(
                SmallFile.text(file)
                    == "127.0.0.1 localhost\n\n10.100.0.20 b.b\n# end\n10.100.0.4 d\n10.100.0.5 e\n")
        }
        #expect(NetworkScript.names(adding: []).isEmpty)
    }
}
