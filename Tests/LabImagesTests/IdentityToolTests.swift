import Foundation
import HostSystem
import LabTestSupport
import Testing

@testable import LabImages

/// `vmlab-identity`, the program of the Linux images, in namespaces of its own: a root folder that holds nothing else.
@Suite("A clone's identity", .requiresNamespaces, .timeLimit(.minutes(1)))
struct IdentityToolTests {
    /// Runs the program in a root with these files, then `script`, which says words to it as to a guest's by `ask`.
    private func run(_ words: String, files: [String: String] = [:], script: String = "") async throws -> (
        said: String, after: (String) throws -> String
    ) {
        try await withTemporaryFolder { folder in
            let source = try #require(ImageCatalog.standard["debian"]?.system.support["vmlab-identity.c"])
            try Data(source).write(to: URL(fileURLWithPath: folder + "/identity.c"))
            for name in ["root/etc", "root/run"] {
                try FileManager.default.createDirectory(
                    atPath: "\(folder)/\(name)", withIntermediateDirectories: true)
            }
            for (name, text) in files {
                try Data(text.utf8).write(to: URL(fileURLWithPath: "\(folder)/root/etc/\(name)"))
            }
            let made = try await Tool.run(
                "cc",
                [
                    "-static", "-nostdlib", "-ffreestanding", "-fno-stack-protector", "-fno-pic", "-no-pie", "-Os",
                    "-Wall", "-Wextra", "-Werror", "-o", folder + "/root/identity", folder + "/identity.c",
                ])
            #expect(made.status.isSuccess, "\(made.errors)")
            let whole = """
                cd \(folder)/root
                card() { ip link add $1 address $2 type bridge && ip addr add $3 dev $1 && ip link set $1 up; }
                ask() {
                    read -r p < run/vmlab/identity.pid && kill -0 $p && echo "$*" > run/vmlab/identity
                    read -r p < run/vmlab/identity.answer; echo $p
                }
                \(script.hasPrefix("card") ? script : "")
                chroot . /identity \(words); echo status $?
                \(script.hasPrefix("card") ? "ip -o addr; ip link; ip route" : script)
                """
            let result = try await Tool.run(
                "unshare",
                ["--user", "--map-root-user", "--uts", "--net", "--pid", "--fork", "--kill-child", "sh", "-c", whole])
            var texts: [String: String] = [:]
            for name in files.keys {
                let path = "\(folder)/root/etc/\(name)"
                texts[name] = try? String(contentsOfFile: path, encoding: .utf8)
            }
            return (String(decoding: result.output, as: UTF8.self), { [texts] in try #require(texts[$0]) })
        }
    }

    @Test("names go where the former ones were, and nowhere else")
    func names() async throws {
        let rest = "10.0.0.1 debian\n127.0.0.1 mydebian\n::1 x\n"
        let hosts = "127.0.0.1\tlocalhost debian\n127.0.1.1 debian.example debian\n" + rest
        let (said, after) = try await run(
            "host=web-1.example,debian id=0123456789abcdef0123456789abcdef",
            files: ["hosts": hosts, "hostname": "a much longer name\n", "machine-id": "ffff\n"], script: "hostname")
        #expect(said == "status 0\nweb-1.example\n")
        #expect(
            try after("hosts")
                == "127.0.0.1\tlocalhost web-1.example\n127.0.1.1 debian.example web-1.example\n" + rest)
        #expect(try after("hostname") == "web-1.example\n")
        #expect(try after("machine-id") == "0123456789abcdef0123456789abcdef\n")
    }

    @Test("the first one stays, takes words as often as there are some, and says what goes wrong")
    func staying() async throws {
        let (said, after) = try await run(
            "host=first", files: ["hosts": "127.0.0.1 localhost first", "machine-id": ""],
            script: """
                ask host=second,first; hostname
                ask host=a,second id=00; hostname
                ask host=
                ask colour=blue host=not-this
                ask time=1.000000000
                ask seed=00
                ask card=52:54:00:00:00:01,52:54:00:00:00:02,10.0.0.1/8
                ask host=\(String(repeating: "x", count: 65))
                ask host=last,a; hostname
                """)
        #expect(
            said == """
                status 0
                ok
                second
                ok
                a
                no host name
                a word is not known
                the clock could not be set
                there is no /dev/urandom
                a network card is not there
                no host name
                ok
                last

                """)
        #expect(try after("hosts") == "127.0.0.1 localhost last")
        // A guest without a machine id gets none.
        #expect(try after("machine-id") == "")
    }

    @Test("a card gets another address of each kind, and keeps nothing", .requiresBridges)
    func cards() async throws {
        let (said, _) = try await run(
            "card=52:54:00:00:00:02,52:54:00:01:02:03,10.100.1.2/16 gateway=10.100.0.1",
            script: """
                card one 52:54:00:00:00:01 10.1.0.1/16
                card two 52:54:00:00:00:02 10.2.0.1/16; ip addr add 10.3.0.1/24 dev two; ip addr add fd00::1/64 dev two
                """)
        #expect(said.hasPrefix("status 0\n"))
        #expect(said.contains("inet 10.1.0.1/16 scope global one") && said.contains("link/ether 52:54:00:00:00:01"))
        #expect(said.contains("inet 10.100.1.2/16 scope global two") && said.contains("link/ether 52:54:00:01:02:03"))
        #expect(said.contains("default via 10.100.0.1 dev two"))
        for former in ["10.2.0.1", "10.3.0.1", "fd00::1", "52:54:00:00:00:02"] { #expect(!said.contains(former)) }
    }
}

extension Trait where Self == ConditionTrait {
    /// The test makes namespaces and compiles C.
    static var requiresNamespaces: Self {
        .enabled("needs a C compiler and user namespaces (`unshare --user`)") {
            guard Tool.find("cc") != nil, Tool.find("unshare") != nil, Tool.find("chroot") != nil else { return false }
            let words = ["--user", "--map-root-user", "--uts", "--net", "--pid", "--fork", "--kill-child", "true"]
            return try await Tool.run("unshare", words).status.isSuccess
        }
    }

    /// The test makes bridges, which are network cards as good as any.
    static var requiresBridges: Self {
        .enabled("the kernel makes no bridges, or there is no `ip`") {
            guard Tool.find("ip") != nil, Tool.find("unshare") != nil else { return false }
            let words = ["--user", "--map-root-user", "--net", "ip", "link", "add", "x", "type", "bridge"]
            return try await Tool.run("unshare", words).status.isSuccess
        }
    }
}
