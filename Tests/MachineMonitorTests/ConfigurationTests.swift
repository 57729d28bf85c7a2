import Diagnostics
import QMP
import Testing

@testable import MachineMonitor

@Suite("What a machine can be")
struct ConfigurationTests {
    private func messages(_ json: String) throws -> [String] {
        try VMConfiguration(json: json.utf8).problems().map { $0.message + ($0.remedy.map { " (\($0))" } ?? "") }
    }

    @Test("Values are checked: ranges, names, and what only one can have")
    func values() throws {
        #expect(
            try messages(
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
                    "networks[0].mac: `53:54:00:00:00:00` is not a network card's address "
                        + "(write six bytes as `52:54:00:12:34:56`, the first one even)",
                    "networks[0].tap: `a/b` is not the name of a network interface",
                    "networks[1].mac: `0:0:0:0:0:1` is not a network card's address "
                        + "(write six bytes as `52:54:00:12:34:56`, the first one even)",
                    "networks[2].mac: `00:00:00:00:00:00` is not a network card's address "
                        + "(write six bytes as `52:54:00:12:34:56`, the first one even)",
                    "networks[2].local: /l is used by networks[1].local already",
                    "debugLog.fd: 2 is not an inherited descriptor (0 to 2 are the standard ones; use 3 or more)",
                ])
        #expect(
            try messages(#"{"kernel": "/k", "com1": {"fd": 3}, "com2": {"fd": 3}, "monitor": {"fd": 99999999999}}"#)
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
}
