import Diagnostics
import MicroVM
import QMP
import Quantities
import VirtualHardware

extension VMConfiguration {
    /// The limit of disks and cards together; the entropy device uses one slot.
    static let deviceLimit = MachineLayout.mostVirtioDevices - 1

    /// All errors in the values themselves; accesses no files.
    func problems() -> [Diagnostic] {
        var checks = Checks()
        checks.text(name, "name")
        checks.path(kernel, "kernel")
        if let initrd { checks.path(initrd, "initrd") }
        checks.commandLine(cmdline)
        checks.memory(memory)
        if !Self.cpuRange.contains(cpus) {
            checks.add("cpus", "\(cpus) is not between \(Self.cpuRange.lowerBound) and \(Self.cpuRange.upperBound)")
        }
        checks.endpoint(com1, "com1")
        checks.endpoint(com2, "com2")
        if monitor == .terminal {
            checks.add("monitor", "the terminal is for a serial port", remedy: "use a socket or a descriptor")
        } else {
            checks.endpoint(monitor, "monitor")
        }
        for (index, disk) in disks.enumerated() { checks.disk(disk, "disks[\(index)]") }
        for (index, card) in networks.enumerated() { checks.network(card, "networks[\(index)]") }
        if disks.count + networks.count > Self.deviceLimit {
            checks.add(
                "disks", "\(disks.count) disks and \(networks.count) network cards are too many",
                remedy: "a machine has room for \(Self.deviceLimit) together")
        }
        if let snapshots { checks.path(snapshots, "snapshots") }
        if let golden {
            checks.path(golden, "golden")
            if restore != nil {
                checks.add("golden", "a restored machine's memory is the snapshot's", remedy: "use `snapshots`")
            }
        }
        if let restore { checks.path(restore, "restore") }
        if let debugLog { checks.descriptor(debugLog, "debugLog.fd") }
        return checks.problems
    }
}

private struct Checks {
    private(set) var problems: [Diagnostic] = []
    /// The owners of exclusive resources: descriptors, sockets, files that are written to, the terminal.
    private var owners: [String: String] = [:]

    mutating func add(_ place: String, _ message: String, remedy: String? = nil) {
        problems.append(Diagnostic(.specification, "\(place): \(message)", remedy: remedy))
    }

    private mutating func claim(_ what: String, for place: String) {
        if let owner = owners.updateValue(place, forKey: what) { add(place, "\(what) is used by \(owner) already") }
    }

    mutating func text(_ text: String, _ place: String) {
        if text.isEmpty { add(place, "is empty") }
        if text.utf8.contains(0) { add(place, "contains a NUL character") }
    }

    mutating func path(_ path: String, _ place: String) { text(path, place) }

    mutating func commandLine(_ words: String) {
        if words.utf8.contains(0) { add("cmdline", "contains a NUL character") }
        let limit = MachineLayout.commandLineLimit - 1
        if words.utf8.count > limit { add("cmdline", "has \(words.utf8.count) bytes; kernels take \(limit)") }
    }

    mutating func memory(_ bytes: UInt64) {
        let range = VMConfiguration.memoryRange
        if !range.contains(bytes) {
            let bounds = "\(ByteCount(range.lowerBound)) and \(ByteCount(range.upperBound))"
            add("memory", "\(bytes) bytes is not between \(bounds)")
        } else if bytes % 4096 != 0 {
            add("memory", "\(bytes) is not a multiple of 4096 bytes")
        }
    }

    mutating func descriptor(_ number: Int32, _ place: String) {
        if number < 3 {
            add(
                place, "\(number) is not an inherited descriptor", remedy: "0 to 2 are the standard ones; use 3 or more"
            )
        } else {
            claim("descriptor \(number)", for: place)
        }
    }

    mutating func endpoint(_ endpoint: VMConfiguration.Endpoint, _ place: String) {
        switch endpoint {
        case .none: break
        case .terminal: claim("the terminal", for: place)
        case .descriptor(let number): descriptor(number, "\(place).fd")
        case .socket(let path): socket(path, "\(place).socket")
        }
    }

    private mutating func socket(_ path: String, _ place: String) {
        self.path(path, place)
        claim(path, for: place)
    }

    mutating func disk(_ disk: VMConfiguration.Disk, _ place: String) {
        path(disk.path, "\(place).path")
        if disk.serial.utf8.count > VMConfiguration.serialLimit
            || !disk.serial.utf8.allSatisfy({ (0x20...0x7e).contains($0) })
        {
            add(
                "\(place).serial",
                "\(disk.serial.quoted()) is not at most \(VMConfiguration.serialLimit) printable ASCII characters")
        }
        if let overlay = disk.overlay {
            path(overlay, "\(place).overlay")
            claim(overlay, for: "\(place).overlay")
            if disk.readOnly {
                add(place, "nothing is written to a read-only disk", remedy: "leave out `overlay` or `readOnly`")
            }
        } else if !disk.readOnly {
            claim(disk.path, for: "\(place).path")
        }
    }

    mutating func network(_ card: VMConfiguration.Network, _ place: String) {
        if EthernetAddress(card.mac) == nil {
            add(
                "\(place).mac", "\(card.mac.quoted()) is not a network card's address",
                remedy: "write six bytes as `52:54:00:12:34:56`, the first one even")
        }
        switch card.link {
        case .sockets(let local, let remote):
            socket(local, "\(place).local")
            path(remote, "\(place).remote")
        case .tap(let name):
            if name.isEmpty || name.utf8.count > 15 || name.utf8.contains(where: { $0 <= 0x20 || $0 == 0x2f }) {
                add("\(place).tap", "\(name.quoted()) is not the name of a network interface")
            } else {
                claim("tap \(name)", for: "\(place).tap")
            }
        }
    }
}
