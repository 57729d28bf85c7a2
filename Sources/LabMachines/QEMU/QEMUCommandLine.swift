import JSON
import GuestControl
import LabSpec

/// QEMU's arguments for a machine: a pure function of what it is made of.
struct QEMUCommandLine: Sendable {
    /// What runs the guest's instructions.
    enum Accelerator: String, Sendable, Hashable {
        /// QEMU's own translation: works on any host.
        case tcg
        /// The host's processor.
        case kvm
    }

    private typealias Descriptor = MachineProcess.Descriptor
    /// The descriptor of the terminal on which some images are typed to.
    static let keys = MachineProcess.Descriptor.firstFree
    /// The descriptor of the file that a machine is restored from.
    static let savedState = MachineProcess.Descriptor.firstFree + 1

    /// The translation cache of one emulated guest in MiB: the larger part of what it costs beyond its RAM. QEMU's own
    /// default is a fixed 1 GiB, which fleets do not fit into.
    static let translationCache = 64
    /// The name of the virtio serial port that an image may ask to have its command channel on.
    static let fastPort = "vmlab.com2"

    /// Whether the image asks to have what is typed to it on a terminal of its own.
    ///
    /// A virtio port is no terminal, so Ctrl-C on it is a byte like any other. A virtio console is one, but QEMU drops what comes
    /// out of it when its socket does not take it at once. So such images are typed to on the console and answer on the port.
    static func hasKeys(_ configuration: MachineConfiguration) -> Bool {
        configuration.cmdline.split(separator: " ").contains("vmlab.keys=hvc0")
    }

    let accelerator: Accelerator

    func arguments(for configuration: MachineConfiguration, drives: [QEMUDrive]) -> [String] {
        var words = machine(configuration)
        // It waits to be told where from, so that it can be told first what is there. And a machine that moves tells the
        // network where it is now; this one is another.
        if configuration.restoring != nil {
            words += ["-incoming", "defer", "-global", "migration.announce-rounds=0"]
        }
        words += boot(configuration)
        words += channels(configuration)
        for (index, drive) in drives.enumerated() { words += disk(drive, index) }
        for (index, card) in configuration.networks.enumerated() { words += network(card, index) }
        return words
    }

    /// QEMU's RAM comes in whole MiB.
    static func mebibytes(_ configuration: MachineConfiguration) -> UInt64 {
        max(1, configuration.memory.bytes.dividedRoundingUp(by: 1 << 20))
    }

    private func machine(_ configuration: MachineConfiguration) -> [String] {
        let mebibytes = Self.mebibytes(configuration)
        let memory = QEMUMemory(of: configuration)
        let words = [
            "-name", "guest=\(Self.escaped(configuration.name)),debug-threads=on",
            "-nodefaults", "-no-user-config", "-display", "none",
            // A guest's process starts nothing and gains nothing.
            "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
            "-M", "q35,vmport=off,smbus=off,sata=off\(screen(configuration))\(memory.machineOption)",
            "-accel", accelerator == .kvm ? "kvm" : "tcg,tb-size=\(Self.translationCache)",
            "-cpu", processor(configuration),
            "-smp", "\(configuration.cpus)",
            "-m", "\(mebibytes)M",
            "-rtc", "base=utc",
            // A panic is an event, and the guest goes on saying its last words. A reboot is a reboot.
            "-device", "pvpanic", "-action", "panic=none,reboot=reset,shutdown=poweroff",
            "-device", "virtio-rng-pci",
        ]
        return words + memory.arguments(mebibytes: mebibytes)
    }

    /// A BIOS that is to find something to boot uses the serial port as its screen and keyboard, and so tells when it does not.
    private func screen(_ configuration: MachineConfiguration) -> String {
        configuration.image.kernel == nil && configuration.image.firmware == nil ? ",graphics=off" : ""
    }

    /// Emulated SMAP breaks Wine's user-mode iretq, which oopses the guest's kernel, also that of a guest's guest.
    ///
    /// Of the processors that QEMU emulates with SVM and nested paging, EPYC boots Linux in a guest's guest in two thirds
    /// of the time that `max` takes. It goes without XSAVE, and so without AVX: emulated SVM does not intercept `xsetbv`
    /// (seen in QEMU 7.2), so the guest's KVM would run its guests with another XCR0 than they believe to have set.
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

    /// The monitor and the two serial ports come as connected sockets.
    private func channels(_ configuration: MachineConfiguration) -> [String] {
        var words = [
            "-chardev", "socket,id=monitor,fd=\(Descriptor.monitor)", "-mon", "chardev=monitor,mode=control",
            "-chardev", "socket,id=com1,fd=\(Descriptor.console)", "-serial", "chardev:com1",
            "-chardev", "socket,id=com2,fd=\(Descriptor.commands)",
        ]
        if configuration.cmdline.split(separator: " ").contains("vmlab.port=\(Self.fastPort)") {
            // The image asks for its command channel on a virtio serial port: an emulated 16550A takes a trap for each
            // byte and passes 150 kB/s, this some forty times more.
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
        // Nothing outlives the machine, so nothing is flushed; never O_DIRECT, so that the host and the guest see each
        // other's writes to the exchange disk through the page cache.
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
        // A full host disk is the guest's I/O error, not a machine that stands still.
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
        // Without its option ROM the card does not try to boot the guest from the network.
        let device: JSONValue = [
            "driver": "virtio-net-pci", "netdev": .string(id), "mac": .string(card.mac), "romfile": "",
        ]
        return ["-netdev", backend.line, "-device", device.line]
    }

    /// A value inside a comma-separated option.
    private static func escaped(_ value: String) -> String {
        value.split(separator: ",", omittingEmptySubsequences: false).joined(separator: ",,")
    }
}

extension UInt64 {
    fileprivate func dividedRoundingUp(by divisor: UInt64) -> UInt64 {
        self / divisor + (self % divisor == 0 ? 0 : 1)
    }
}
