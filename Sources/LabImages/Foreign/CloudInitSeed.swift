import Diagnostics
import HostSystem
import JSON
import LabSpec

/// How vmlab gets into a disk that names no login: cloud-init, by a NoCloud seed on a disk of its own, and systemd from version 252
/// on, by credentials in SMBIOS strings, make a user that may do everything. It exists while the agent is installed, in a machine
/// without a network, and agent-install.sh removes it.
enum CloudInitSeed {
    static let user = "vmlab"
    static let password = "vmlab"
    /// A line of /etc/passwd with the password's SHA-512 hash.
    private static let account =
        "vmlab:$6$vmlab$2OW41PzoGLg8ZwsSSNiZFhwMA4JK6VGjEa9vPO0lgr7UZOzaejyQGyXTCQ4d/QWfCL7zG1Wk5NkW9SczMypIl."
        + ":0:0::/root:/bin/sh"

    /// systemd's credential for one more line of its tmpfiles (systemd-tmpfiles(8)).
    static let strings = ["io.systemd.credential:tmpfiles.extra=w+ /etc/passwd - - - - \(account)\\n"]

    /// What cloud-init reads, as JSON, which YAML contains.
    static func userData(_ wanted: CloudInit?) -> String {
        var document = JSONObject()
        // Before anybody can log in, and again at each boot with the seed.
        let open = "grep -q ^vmlab: /etc/passwd || echo '\(account)' >>/etc/passwd"
        document["bootcmd"] = [["sh", "-c", .string(open)]]
        // Not every image has the locales that it would set.
        document["locale"] = false
        if wanted == nil {
            // Nobody has asked for anything: its steps take an emulated guest half a minute.
            (document["cloud_config_modules"], document["cloud_final_modules"]) = ([], [])
        }
        if let user = wanted?.user {
            var entry: JSONObject = [
                "name": .string(user), "shell": "/bin/bash", "sudo": "ALL=(ALL) NOPASSWD:ALL",
                "lock_passwd": .bool(wanted?.password == nil),
            ]
            if let password = wanted?.password { entry["plain_text_passwd"] = .string(password) }
            if let keys = wanted?.keys, !keys.isEmpty {
                entry["ssh_authorized_keys"] = .array(keys.map(JSONValue.string))
            }
            document["users"] = ["default", .object(entry)]
            document["ssh_pwauth"] = .bool(wanted?.password != nil)
        }
        if let commands = wanted?.commands, !commands.isEmpty {
            document["runcmd"] = .array(commands.map { ["sh", "-c", .string($0)] })
        }
        return "#cloud-config\n\(JSONValue.object(document).line)\n"
    }

    /// Makes the seed's disk, a FAT file system by mtools. `instance` tells cloud-init one first boot from another.
    static func make(
        at path: String, for wanted: CloudInit?, instance: String, host: String, in scratch: String
    ) async throws {
        let files = [
            "user-data": userData(wanted),
            "meta-data":
                "\(JSONValue.object(["instance-id": .string(instance), "local-hostname": .string(host)]).line)\n",
        ]
        let what = "cannot make the seed for cloud-init"
        try await Tool.run(
            "mformat", ["-C", "-f", "1440", "-v", "CIDATA", "-i", path, "::"], package: "mtools"
        ).checked(what, category: .image)
        for (name, text) in files.sorted(by: { $0.key < $1.key }) {
            let file = "\(scratch)/\(name)"
            do throws(SystemCallError) {
                try SmallFile.replace(file, with: Array(text.utf8))
            } catch {
                throw error.diagnostic(what)
            }
            try await Tool.run("mcopy", ["-i", path, file, "::\(name)"], package: "mtools").checked(
                what, category: .image)
        }
    }
}
