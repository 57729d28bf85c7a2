import Diagnostics
import JSON
import QMP
import Testing

@Suite("A machine's configuration")
struct VMConfigurationTests {
    private var full: VMConfiguration {
        VMConfiguration(
            name: "lin-1", kernel: "/k", initrd: "/i", cmdline: "console=ttyS0 \"x y\"", memory: 5 << 30, cpus: 16,
            com1: .descriptor(4), com2: .socket("/run/com2"), monitor: .descriptor(3),
            disks: [
                .init(path: "/a", serial: "root", readOnly: true), .init(path: "/b", overlay: "/o"), .init(path: "/c"),
            ],
            networks: [
                .init(mac: "52:54:00:00:00:01", link: .sockets(local: "/l", remote: "/r")),
                .init(mac: "52:54:00:00:00:02", link: .tap("tap0")),
            ], debugLog: 5, snapshots: "/s", golden: "/g", restore: "/s/golden", sandbox: false)
    }

    private func messages(_ json: String) -> [String] {
        let list = #expect(throws: DiagnosticList.self) { try VMConfiguration(json: json.utf8) }
        return (list?.all ?? []).map { $0.message + ($0.remedy.map { " (\($0))" } ?? "") }
    }

    @Test("JSON carries every value there and back")
    func roundTrip() throws {
        #expect(try VMConfiguration(json: full.json.line.utf8) == full)
        let small = VMConfiguration(kernel: "/k", com1: .terminal)
        #expect(try VMConfiguration(json: small.json.line.utf8) == small)
    }

    @Test("What is left out or null has its usual value; memory may have a unit")
    func usual() throws {
        let text = #"{"kernel": "/k", "initrd": null, "memory": "64MiB", "disks": [{"path": "/d"}]}"#
        #expect(
            try VMConfiguration(json: text.utf8)
                == VMConfiguration(kernel: "/k", memory: 64 << 20, disks: [.init(path: "/d")]))
    }

    @Test("All mistakes are told at once, each with the path of its key")
    func mistakes() {
        #expect(
            messages(
                """
                {"kernal": "/k", "memory": "lots", "cpus": "2", "com1": {"file": "/x"}, "com2": 4, "monitor": {"fd": "3"},
                 "disks": [{"path": "/a", "readonly": true}, 7], "debugLog": 5, "sandbox": 1,
                 "networks": [{"mac": "m", "tap": "t", "local": "/l"}, {"mac": "m"}, {"tap": null}]}
                """) == [
                    "kernal: there is no such key (did you mean `kernel`?)",
                    "kernel: is missing",
                    "memory: expected a size (write it as `256MiB`, `1GiB` or `1G`, or as a number of bytes)",
                    "cpus: expected a whole number, not a string",
                    "com1.file: there is no such key (the keys are fd, socket)",
                    #"com2: is no place for a stream (write {"fd": 3}, {"socket": "/path"}, "terminal" or "none")"#,
                    "monitor.fd: expected a whole number, not a string",
                    "disks[0].readonly: there is no such key (did you mean `readOnly`?)",
                    "disks[1]: expected an object, not a number",
                    "networks[0]: a card has either a tap or two sockets (leave out one of them)",
                    "networks[1]: the card is not connected (give it `local` and `remote`, or `tap`)",
                    "networks[2].mac: is missing", "networks[2].tap: is missing",
                    "debugLog: expected an object, not a number",
                    "sandbox: expected true or false, not a number",
                ])
        #expect(
            messages(
                """
                {"kernel": "", "name": "", "memory": 4097, "cpus": 99999999999999999999, "cmdline": "a\\u0000",
                 "com1": "terminal", "com2": "terminal", "monitor": "terminal"}
                """) == ["cpus: expected a whole number, not a number"])
        #expect(
            messages(#"{"kernel": "/k", "com1": {"fd": 3}, "com2": {"fd": 3}, "memory": 33558528.5}"#)
                == ["memory: expected a size (write it as `256MiB`, `1GiB` or `1G`, or as a number of bytes)"])
    }

    @Test("What is not JSON is told with line and column")
    func syntax() {
        let list = #expect(throws: DiagnosticList.self) { try VMConfiguration(json: "{\n \"kernel\" }".utf8) }
        #expect(list?.all.map(\.cause) == ["2:11: expected a colon after the key"])
        #expect(messages("[]") == ["the configuration: expected an object, not an array"])
    }

    @Test(
        "Sizes have binary units, or none: then they are bytes",
        arguments: [
            ("256MiB", 256 << 20), ("1G", 1 << 30), ("1gib", 1 << 30), ("2T", 2 << 40), ("64k", 64 << 10),
            ("65536", 65536), ("7B", 7), ("", nil), ("MiB", nil), ("1.5G", 3 << 29), ("-1", nil), ("1 G", nil),
            ("99999999999999999999", nil), ("18446744073709551615T", nil),
        ] as [(String, UInt64?)])
    func sizes(text: String, bytes: UInt64?) {
        #expect(VMConfiguration.bytes(text) == bytes)
    }
}
