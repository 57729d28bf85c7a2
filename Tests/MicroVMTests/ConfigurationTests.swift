import Diagnostics
import JSON
import Testing

@testable import MicroVM

@Suite("A machine's configuration")
struct ConfigurationTests {
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
            ], debugLog: 5, snapshots: "/s", restore: "/s/golden", sandbox: false)
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
                    "networks[1]: the card leads nowhere (give it `local` and `remote`, or `tap`)",
                    "networks[2].mac: is missing", "networks[2].tap: is missing",
                    "debugLog: expected an object, not a number",
                    "sandbox: expected true or false, not a number",
                ])
    }

    @Test("Values are checked: ranges, names, and what only one can have")
    func values() {
        #expect(
            messages(
                """
                {"kernel": "", "name": "", "memory": 4097, "cpus": 99999999999999999999, "cmdline": "a\\u0000",
                 "com1": "terminal", "com2": "terminal", "monitor": "terminal"}
                """) == ["cpus: expected a whole number, not a number"])
        #expect(
            messages(
                """
                {"kernel": "", "name": "a\\u0000", "memory": 4097, "cpus": 17, "cmdline": "\(String(repeating: "x", count: 2048))",
                 "com1": "terminal", "com2": "terminal", "monitor": "terminal", "debugLog": {"fd": 2},
                 "disks": [{"path": "/a", "serial": "twenty-one characters"}, {"path": "/a"},
                           {"path": "/b", "readOnly": true, "overlay": "/a"}, {"path": "/b", "readOnly": true}],
                 "networks": [{"mac": "53:54:00:00:00:00", "tap": "a/b"}, {"mac": "0:0:0:0:0:1", "local": "/l", "remote": "/r"},
                              {"mac": "00:00:00:00:00:00", "local": "/l", "remote": "/r"}]}
                """) == [
                    "name: contains a NUL character", "kernel: is empty", "cmdline: has 2048 bytes; kernels take 2047",
                    "memory: 4097 bytes is not between 32MiB and 1TiB", "cpus: 17 is not between 1 and 16",
                    "com2: the terminal is used by com1 already",
                    "monitor: the terminal is for a serial port (use a socket or a descriptor)",
                    "disks[0].serial: `twenty-one characters` is not at most 20 printable ASCII characters",
                    "disks[1].path: /a is used by disks[0].path already",
                    "disks[2].overlay: /a is used by disks[1].path already",
                    "disks[2]: nothing is written to a read-only disk (leave out `overlay` or `readOnly`)",
                    "networks[0].mac: `53:54:00:00:00:00` is no address of a network card "
                        + "(write six bytes as `52:54:00:12:34:56`, the first one even)",
                    "networks[0].tap: `a/b` is no name of a network interface",
                    "networks[1].mac: `0:0:0:0:0:1` is no address of a network card "
                        + "(write six bytes as `52:54:00:12:34:56`, the first one even)",
                    "networks[2].mac: `00:00:00:00:00:00` is no address of a network card "
                        + "(write six bytes as `52:54:00:12:34:56`, the first one even)",
                    "networks[2].local: /l is used by networks[1].local already",
                    "debugLog.fd: 2 is not an inherited descriptor (0 to 2 are the standard ones; use 3 or more)",
                ])
        #expect(
            messages(#"{"kernel": "/k", "com1": {"fd": 3}, "com2": {"fd": 3}, "memory": 33558528.5}"#)
                == ["memory: expected a size (write it as `256MiB`, `1GiB` or `1G`, or as a number of bytes)"])
        #expect(
            messages(#"{"kernel": "/k", "com1": {"fd": 3}, "com2": {"fd": 3}, "monitor": {"fd": 99999999999}}"#)
                == ["com2.fd: descriptor 3 is used by com1.fd already"])
    }

    @Test("There is room for a limited number of devices")
    func devices() {
        var machine = VMConfiguration(kernel: "/k")
        machine.disks = (0..<VMConfiguration.deviceLimit).map { .init(path: "/\($0)") }
        #expect(machine.problems().isEmpty)
        machine.networks = [.init(mac: "52:54:00:00:00:01", link: .tap("t"))]
        #expect(machine.problems().map(\.remedy) == ["a machine has room for 17 together"])
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
