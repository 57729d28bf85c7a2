import JSON
import GuestControl
import LabSpec

/// QEMU's arguments: a pure function of the machine's configuration.
struct QEMUCommandLine: Sendable {
    enum Accelerator: String, Sendable, Hashable {
        /// QEMU's own translation; works on any host.
        case tcg
        /// The host's processor.
        case kvm
    }

    private typealias Descriptor = MachineProcess.Descriptor
    /// The descriptor of the terminal for typed input, for images that need one.
    static let keys = MachineProcess.Descriptor.firstFree
    /// The descriptor of the saved state to restore.
    static let savedState = MachineProcess.Descriptor.firstFree + 1

    /// The translation cache of one emulated guest in MiB: most of its cost beyond its RAM. QEMU's default is a fixed 1 GiB,
    /// too much for fleets.
    static let translationCache = 64
    /// The virtio serial port for images that have their command channel on one.
    static let fastPort = "vmlab.com2"

    /// Whether the image takes typed input on a separate terminal. A virtio port is no terminal, so Ctrl-C on it is an ordinary
    /// byte. A virtio console is a terminal, but QEMU drops its output when the socket is full. So these images are typed to on the
    /// console and answer on the port.
    static func hasKeys(_ configuration: MachineConfiguration) -> Bool {
        configuration.cmdline.split(separator: " ").contains("vmlab.keys=hvc0")
    }

    let accelerator: Accelerator

    func arguments(for configuration: MachineConfiguration, drives: [QEMUDrive]) -> [String] {
        var words = machine(configuration)
        // Deferred, so that the capabilities can be set first. Without announcements: after a migration QEMU announces the
        // guest's address to the network, and this is another guest.
        if configuration.restoring != nil {
            words += ["-incoming", "defer", "-global", "migration.announce-rounds=0"]
        }
        words += boot(configuration)
        words += channels(configuration)
        for (index, drive) in drives.enumerated() { words += disk(drive, index) }
        for (index, card) in configuration.networks.enumerated() { words += network(card, index) }
        return words
    }

    /// RAM in MiB: QEMU takes whole ones.
    static func mebibytes(_ configuration: MachineConfiguration) -> UInt64 {
        max(1, configuration.memory.bytes.dividedRoundingUp(by: 1 << 20))
    }

    private func machine(_ configuration: MachineConfiguration) -> [String] {
        let mebibytes = Self.mebibytes(configuration)
        let memory = QEMUMemory(of: configuration)
        let words = [
            "-name", "guest=\(Self.escaped(configuration.name)),debug-threads=on",
            "-nodefaults", "-no-user-config", "-display", "none",
            // The process may start no programs and gain no privileges.
            "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
            "-M", "q35,vmport=off,smbus=off,sata=off\(screen(configuration))\(memory.machineOption)",
            "-accel", accelerator == .kvm ? "kvm" : "tcg,tb-size=\(Self.translationCache)",
            "-cpu", processor(configuration),
            "-smp", "\(configuration.cpus)",
            "-m", "\(mebibytes)M",
            "-rtc", "base=utc",
            // A panic is reported as an event while the guest keeps printing. A reboot resets the machine.
            "-device", "pvpanic", "-action", "panic=none,reboot=reset,shutdown=poweroff",
            "-device", "virtio-rng-pci",
        ]
        let strings = configuration.image.strings.flatMap { ["-smbios", "type=11,value=\(Self.escaped($0))"] }
        return words + strings + memory.arguments(mebibytes: mebibytes)
    }

    /// Has a BIOS that boots a disk use the serial port as its console, which shows when nothing bootable is found.
    private func screen(_ configuration: MachineConfiguration) -> String {
        configuration.image.kernel == nil && configuration.image.firmware == nil ? ",graphics=off" : ""
    }

    /// SMAP is off: QEMU's emulation of it breaks Wine's user-mode iretq and oopses the guest's kernel, also in nested guests.
    ///
    /// Of the emulated CPUs with SVM and nested paging, EPYC boots a nested Linux in two thirds of the time of `max`. XSAVE,
    /// and with it AVX, is off: emulated SVM does not intercept `xsetbv` (seen in QEMU 7.2), so the guest's KVM would run its
    /// guests with another XCR0 than they set.
    private func processor(_ configuration: MachineConfiguration) -> String {
        if accelerator == .kvm { return "host" }
        return configuration.nested ? "EPYC,+svm,+npt,-smap,-xsave,-avx,-avx2,-fma,-f16c" : "max,-smap"
    }

    private func boot(_ configuration: MachineConfiguration) -> [String] {
        var words: [String] = []
        if let firmware = configuration.image.firmware { words += ["-bios", firmware] }
        if let kernel = configuration.image.kernel {
            words += ["-kernel", kernel]
            if let initrd = configuration.image.initrd { words += ["-initrd", initrd] }
            if !configuration.cmdline.isEmpty { words += ["-append", configuration.cmdline] }
        }
        return words
    }

    /// The monitor and the two serial ports, on inherited sockets.
    private func channels(_ configuration: MachineConfiguration) -> [String] {
        var words = [
            "-chardev", "socket,id=monitor,fd=\(Descriptor.monitor)", "-mon", "chardev=monitor,mode=control",
            "-chardev", "socket,id=com1,fd=\(Descriptor.console)", "-serial", "chardev:com1",
            "-chardev", "socket,id=com2,fd=\(Descriptor.commands)",
        ]
        if configuration.cmdline.split(separator: " ").contains("vmlab.port=\(Self.fastPort)") {
            // The image wants its command channel on a virtio serial port: an emulated 16550A traps on each byte and passes 150
            // kB/s, a virtio port about forty times more.
            words += ["-device", "virtio-serial-pci"]
            if Self.hasKeys(configuration) {
                words += [
                    "-chardev", "socket,id=keys,fd=\(Self.keys)", "-device", "virtconsole,chardev=keys",
                ]
            }
            words += ["-device", "virtserialport,chardev=com2,name=\(Self.fastPort)"]
        } else {
            words += ["-serial", "chardev:com2"]
        }
        return words
    }

    private func disk(_ drive: QEMUDrive, _ index: Int) -> [String] {
        let node = "disk\(index)"
        var blockdev = drive.chain.members
        blockdev["node-name"] = .string(node)
        blockdev["read-only"] = .bool(drive.isReadOnly)
        // Disks do not outlive the machine, so flushes are ignored. Never O_DIRECT: host and guest exchange files through the
        // page cache.
        blockdev["cache"] = ["direct": false, "no-flush": true]
        blockdev["discard"] = "unmap"
        let words = ["-blockdev", JSONValue.object(blockdev).line]
        if drive.isInDrive {
            return words + [
                "-device", "ich9-ahci,id=drives\(index)", "-device", "ide-cd,bus=drives\(index).0,drive=\(node)",
            ]
        }
        var device: JSONObject = [
            "driver": "virtio-blk-pci", "drive": .string(node), "serial": .string(drive.serial),
        ]
        // A full host disk becomes an I/O error in the guest instead of stopping the machine.
        if !drive.isReadOnly { (device["werror"], device["rerror"]) = ("report", "report") }
        return words + ["-device", JSONValue.object(device).line]
    }

    private func network(_ card: NetworkAttachment, _ index: Int) -> [String] {
        let id = "net\(index)"
        let backend: JSONValue = [
            "type": "dgram", "id": .string(id),
            "local": ["type": "unix", "path": .string(card.local)],
            "remote": ["type": "unix", "path": .string(card.remote)],
        ]
        // Without an option ROM the card does not try to boot from the network.
        let device: JSONValue = [
            "driver": "virtio-net-pci", "netdev": .string(id), "mac": .string(card.mac), "romfile": "",
            // A clone has a new address to announce, not the golden's; and QEMU 7.2 frees the announcement's timer when it restores a
            // machine, and dies by SIGSEGV when that is reset.
            "guest_announce": false,
        ]
        return ["-netdev", backend.line, "-device", device.line]
    }

    /// Escapes a value within a comma-separated option.
    private static func escaped(_ value: String) -> String {
        value.split(separator: ",", omittingEmptySubsequences: false).joined(separator: ",,")
    }
}

extension UInt64 {
    fileprivate func dividedRoundingUp(by divisor: UInt64) -> UInt64 {
        self / divisor + (self % divisor == 0 ? 0 : 1)
    }
}
