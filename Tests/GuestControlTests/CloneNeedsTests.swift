import Foundation
import HostSystem
import LabTestSupport
import Testing

@testable import GuestControl

/// What clones renew: the scripts, run by this host's shell in a folder that stands for a guest's root.
@Suite("What clones need", .timeLimit(.minutes(1)))
struct CloneNeedsTests {
    /// Stands for the program that makes keys: each is another.
    private static let keygen = """
        #!/bin/sh
        while [ $# -gt 1 ]; do
            [ "$1" != -f ] || file=$2
            shift
        done
        [ ! -e "$file" ] || { echo "$file already exists"; exit 1; }
        echo "new $$" > "$file"
        echo "new $$" > "$file.pub"
        """

    private struct Guest {
        let root: String

        func write(_ name: String, _ text: String, mode: Int = 0o600) throws {
            let path = root + name
            try FileTree.makeFolder(String(path[..<(path.lastIndex(of: "/") ?? path.endIndex)]))
            try Data(text.utf8).write(to: URL(fileURLWithPath: path))
            try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
        }

        func has(_ name: String) -> Bool { FileManager.default.fileExists(atPath: root + name) }

        func text(_ name: String) throws -> String { try String(contentsOfFile: root + name, encoding: .utf8) }

        func run(_ script: String) throws -> (said: String, status: Int32) {
            let process = Process()
            let pipe = Pipe()
            process.executableURL = URL(fileURLWithPath: "/bin/sh")
            process.arguments = ["-c", script]
            process.environment = ["PATH": "\(root)/bin:/usr/bin:/bin"]
            process.standardOutput = pipe
            process.standardError = pipe
            try process.run()
            let said = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            process.waitUntilExit()
            return (said, process.terminationStatus)
        }
    }

    private func withGuest(_ body: (Guest) async throws -> Void) async throws {
        try await withTemporaryFolder { folder in
            let guest = Guest(root: folder)
            try guest.write("/bin/ssh-keygen", Self.keygen, mode: 0o755)
            try await body(guest)
        }
    }

    @Test("a guest without SSH, DHCP and hooks needs nothing")
    func nothing() async throws {
        try await withGuest { guest in
            let needs = CloneNeeds(try guest.run(CloneNeeds.learning(guest.root)).said)
            #expect(needs == CloneNeeds())
            #expect(needs.forgetting() == nil && needs.making() == nil && needs.warming == nil)
        }
    }

    @Test("keys are forgotten and made anew, the quickest kind at once, and the server is told")
    func keys() async throws {
        try await withGuest { guest in
            for kind in ["rsa", "ed25519", "ecdsa"] {
                try guest.write("/etc/ssh/ssh_host_\(kind)_key", "former")
                try guest.write("/etc/ssh/ssh_host_\(kind)_key.pub", "former")
            }
            try guest.write("/etc/ssh/ssh_host_x;reboot_key", "no kind")
            let needs = CloneNeeds(try guest.run(CloneNeeds.learning(guest.root)).said)
            #expect(needs.keys == ["ed25519", "ecdsa", "rsa"] && !needs.hasLeases)
            // One that is just being made would be the same in all clones.
            let forgetting = try #require(needs.forgetting(guest.root))
            let forgotten = try guest.run(
                "sleep 60 & mkdir -p \(guest.root)/proc/$!; echo ssh-keygen >\(guest.root)/proc/$!/comm\n"
                    + "(\(forgetting)\n) || exit\nwait $!; [ $? = 137 ]")
            #expect(forgotten.status == 0, "\(forgotten.said)")
            #expect(!guest.has("/etc/ssh/ssh_host_rsa_key") && !guest.has("/etc/ssh/ssh_host_ed25519_key.pub"))
            // The shell is its own server here, which notes each time that it is told.
            let making = try #require(needs.making(guest.root))
            try guest.write("/run/x", "")
            let ran = try guest.run(
                "trap 'echo told >>\(guest.root)/told' HUP; echo $$ >\(guest.root)/run/sshd.pid; \(making); "
                    + "s=$?; echo first; wait; exit $s")
            #expect(ran.status == 0, "\(ran.said)")
            let made = try ["ed25519", "ecdsa", "rsa"].map { try guest.text("/etc/ssh/ssh_host_\($0)_key") }
            #expect(Set(made).count == 3 && made.allSatisfy { $0.hasPrefix("new ") })
            #expect(try guest.text("/told").hasPrefix("told\n"))
        }
    }

    @Test("keys that cannot be made are an error, and a server that does not run is none")
    func noKeys() async throws {
        try await withGuest { guest in
            try guest.write("/etc/ssh/ssh_host_ed25519_key", "former")
            let needs = CloneNeeds(try guest.run(CloneNeeds.learning(guest.root)).said)
            let making = try #require(needs.making(guest.root))
            let failed = try guest.run(making)
            #expect(failed.status == 1 && failed.said.contains("already exists"))
            _ = try guest.run(#require(needs.forgetting(guest.root)))
            let made = try guest.run(making)
            #expect(made.status == 0 && made.said.isEmpty, "\(made.said)")
        }
    }

    @Test("what DHCP clients remember is forgotten, and the client that would write it again is ended")
    func leases() async throws {
        try await withGuest { guest in
            let files = [
                "/var/lib/dhcp/dhclient.eth0.leases", "/var/lib/NetworkManager/internal-1-eth0.lease",
                "/run/systemd/netif/leases/2", "/var/lib/dhcpcd/duid",
            ]
            for file in files { try guest.write(file, "10.0.0.7") }
            try guest.write("/var/lib/NetworkManager/secret_key", "stays")
            let needs = CloneNeeds(try guest.run(CloneNeeds.learning(guest.root)).said)
            #expect(needs.hasLeases && needs.keys.isEmpty && needs.making() == nil)
            let forgetting = try #require(needs.forgetting(guest.root))
            let ran = try guest.run(
                "sleep 60 & echo $! >\(guest.root)/run/dhclient.eth0.pid\n(\(forgetting)\n)\n"
                    + "wait $!; [ $? = 137 ]")
            #expect(ran.status == 0, "\(ran.said)")
            #expect(files.filter(guest.has).isEmpty && guest.has("/var/lib/NetworkManager/secret_key"))
        }
    }

    @Test("hooks that the guest brings are those that can be executed, in order")
    func hooks() async throws {
        try await withGuest { guest in
            try guest.write("/etc/vmlab/on-clone", "#!/bin/sh", mode: 0o755)
            try guest.write("/etc/vmlab/on-clone.d/20 two", "#!/bin/sh", mode: 0o755)
            try guest.write("/etc/vmlab/on-clone.d/10", "#!/bin/sh", mode: 0o755)
            try guest.write("/etc/vmlab/on-clone.d/README", "no program", mode: 0o644)
            let needs = CloneNeeds(try guest.run(CloneNeeds.learning(guest.root)).said)
            let folder = "\(guest.root)/etc/vmlab/on-clone"
            #expect(needs.hooks == [folder, "\(folder).d/10", "\(folder).d/20 two"])
        }
    }
}
