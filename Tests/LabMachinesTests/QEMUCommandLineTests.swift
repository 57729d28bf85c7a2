import GuestControl
import LabImages
import LabSpec
import Quantities
import Testing

@testable import LabMachines

/// A disk of one file, whose name tells its format.
func namedChain(_ path: String, _ format: ImageDisk.Format?) -> DiskChain {
    DiskChain(path: path, format: format ?? (path.hasSuffix(".qcow2") ? .qcow2 : .raw))
}

@Suite("QEMU command line")
struct QEMUCommandLineTests {
    private func lines(_ accelerator: QEMUCommandLine.Accelerator, _ configuration: MachineConfiguration) -> [String] {
        let drives = QEMUDrive.all(of: configuration, chainOf: namedChain)
        let words = QEMUCommandLine(accelerator: accelerator).arguments(for: configuration, drives: drives)
        // One option a line, with its value.
        return words.reduce(into: []) { lines, word in
            if word.hasPrefix("-") || lines.isEmpty { lines.append(word) } else { lines[lines.count - 1] += " " + word }
        }
    }

    private var small: MachineConfiguration {
        MachineConfiguration(
            name: "lin-1",
            image: BootableImage(name: "debian", id: "1", os: .linux, kernel: "/k/vmlinux", initrd: "/k/initrd"),
            memory: .mebibytes(256), cpus: 1, cmdline: "console=ttyS0 quiet", directory: "/run/m")
    }

    @Test("A small Linux guest, emulated")
    func smallGuest() {
        #expect(
            lines(.tcg, small) == [
                "-name guest=lin-1,debug-threads=on", "-nodefaults", "-no-user-config", "-display none",
                "-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
                "-M q35,vmport=off,smbus=off,sata=off", "-accel tcg,tb-size=64", "-cpu max,-smap", "-smp 1", "-m 256M",
                "-rtc base=utc", "-device pvpanic", "-action panic=none,reboot=reset,shutdown=poweroff",
                "-device virtio-rng-pci", "-kernel /k/vmlinux", "-initrd /k/initrd", "-append console=ttyS0 quiet",
                "-chardev socket,id=monitor,fd=3", "-mon chardev=monitor,mode=control",
                "-chardev socket,id=com1,fd=4", "-serial chardev:com1", "-chardev socket,id=com2,fd=5",
                "-serial chardev:com2",
            ])
    }

    @Test("Everything at once, with KVM: what differs and what is added")
    func largeGuest() {
        var large = small
        large.name = "a,b"
        large.memory = ByteCount((5 << 30) + 1)
        large.cpus = 4
        large.cmdline = "console=ttyS0 vmlab.port=vmlab.com2"
        large.image.firmware = "/k/OVMF.fd"
        large.image.disks = [
            ImageDisk(path: "/k/base, \"one\".qcow2", format: .qcow2, serial: "root", readOnly: true),
            ImageDisk(path: "/k/data.raw", format: .raw, serial: "data", readOnly: false),
        ]
        large.disks = [.scratch(size: .gibibytes(2)), .file(path: "/home/u/x.qcow2")]
        large.exchangeDisk = "/run/m/exchange"
        large.networks = [
            NetworkAttachment(mac: "52:54:00:00:00:02", local: "/run/a", remote: "/run/switch")
        ]
        func disk(
            _ node: Int, _ path: String, _ format: String, _ readOnly: Bool, _ serial: String,
            over base: String = "null"
        ) -> [String] {
            let backing = format == "qcow2" ? #""backing":\#(base),"# : ""
            let errors = readOnly ? "" : #","werror":"report","rerror":"report""#
            return [
                #"-blockdev {"driver":"\#(format)","file":{"driver":"file","filename":"\#(path)"},\#(backing)"node-name":"#
                    + #""disk\#(node)","read-only":\#(readOnly),"cache":{"direct":false,"no-flush":true},"discard":"unmap"}"#,
                #"-device {"driver":"virtio-blk-pci","drive":"disk\#(node)","serial":"\#(serial)"\#(errors)}"#,
            ]
        }
        let small = Set(lines(.kvm, small))
        #expect(
            lines(.kvm, large).filter { !small.contains($0) } == [
                "-name guest=a,,b,debug-threads=on", "-smp 4", "-m 5121M", "-bios /k/OVMF.fd",
                "-append console=ttyS0 vmlab.port=vmlab.com2", "-device virtio-serial-pci",
                "-device virtserialport,chardev=com2,name=vmlab.com2",
            ] + disk(0, #"/k/base, \"one\".qcow2"#, "qcow2", true, "root")
                + disk(
                    1, "/run/m/overlay1.qcow2", "qcow2", false, "data",
                    over: #"{"driver":"raw","file":{"driver":"file","filename":"/k/data.raw"}}"#)
                + disk(2, "/run/m/scratch2.raw", "raw", false, "disk0")
                + disk(
                    3, "/run/m/overlay3.qcow2", "qcow2", false, "disk1",
                    over: #"{"driver":"qcow2","file":{"driver":"file","filename":"/home/u/x.qcow2"},"backing":null}"#)
                + disk(4, "/run/m/exchange", "raw", false, "vmlab-xchg") + [
                    #"-netdev {"type":"dgram","id":"net0","local":{"type":"unix","path":"/run/a"},"#
                        + #""remote":{"type":"unix","path":"/run/switch"}}"#,
                    #"-device {"driver":"virtio-net-pci","netdev":"net0","mac":"52:54:00:00:00:02","romfile":"","guest_announce":false}"#,
                ])
        #expect(small.isSuperset(of: ["-accel kvm", "-cpu host"]))
        #expect(!lines(.kvm, large).contains("-serial chardev:com2"))
        large.cmdline += " vmlab.keys=hvc0"
        let typed = lines(.kvm, large)
        #expect(typed.contains("-chardev socket,id=keys,fd=6") && typed.contains("-device virtconsole,chardev=keys"))
    }

    @Test("Processors that can run guests of their own: emulated ones with SVM, or the host's")
    func nested() {
        var nested = small
        nested.nested = true
        let added = lines(.tcg, nested).filter { !lines(.tcg, small).contains($0) }
        #expect(added == ["-cpu EPYC,+svm,+npt,-smap,-xsave,-avx,-avx2,-fma,-f16c"])
        #expect(lines(.kvm, nested) == lines(.kvm, small))
    }

    @Test("What is made before the start, and what is never written to")
    func preparations() {
        var configuration = small
        configuration.image.disks = [
            ImageDisk(path: "/k/root.qcow2", format: .qcow2, serial: "root", readOnly: true),
            ImageDisk(path: "/k/data.raw", format: .raw, serial: "data", readOnly: false),
        ]
        configuration.disks = [.file(path: "/u/disk.qcow2"), .scratch(size: ByteCount(5))]
        let drives = QEMUDrive.all(of: configuration) { DiskChain(path: $0, format: $1 ?? .qcow2) }
        #expect(
            drives.map(\.preparation) == [
                .none, .overlay(base: "/k/data.raw", format: .raw), .overlay(base: "/u/disk.qcow2", format: .qcow2),
                .sparse(bytes: 5),
            ])
        let written = drives.filter { !$0.isReadOnly }.map(\.path)
        #expect(written.allSatisfy { $0.hasPrefix("/run/m/") })
    }

    @Test(
        "A15: an image's ISO is in a CD drive, a guest's is a disk that is only read, and each file is opened by its driver"
    )
    func discs() {
        var configuration = small
        configuration.image.disks = [ImageDisk(path: "/k/cd.iso", format: .iso, serial: "vmlab-disk", readOnly: true)]
        configuration.disks = [.file(path: "/u/more.iso", format: .iso), .file(path: "/u/disk.vhd", format: .vhd)]
        let small = Set(lines(.tcg, small))
        let added = lines(.tcg, configuration).filter { !small.contains($0) }
        #expect(added.contains("-device ide-cd,bus=drives0.0,drive=disk0"))
        #expect(
            added.filter { $0.contains("-blockdev") }.map { $0.contains(#""driver":"raw""#) } == [true, true, false])
        #expect(added.filter { $0.contains(#""read-only":true"#) }.count == 2)
        #expect(added.contains { $0.contains(#"{"driver":"vpc","file":{"driver":"file","filename":"/u/disk.vhd"}}"#) })
    }

    @Test("A restored machine is the same one, waits for its state, and writes over what was saved")
    func restored() {
        var configuration = small
        configuration.image.disks = [
            ImageDisk(path: "/k/root.qcow2", format: .qcow2, serial: "root", readOnly: true),
            ImageDisk(path: "/k/data.raw", format: .raw, serial: "data", readOnly: false),
        ]
        configuration.disks = [.file(path: "/u/disk.qcow2"), .scratch(size: ByteCount(5))]
        configuration.exchangeDisk = "/run/m/exchange"
        var restored = configuration
        restored.restoring = SavedMachine(
            state: "/s/state",
            disks: [
                1: .init(path: "/s/disk1", format: .qcow2), 2: .init(path: "/s/disk2", format: .qcow2),
                3: .init(path: "/s/disk3", format: .raw),
            ])
        let (cold, warm) = (lines(.tcg, configuration), lines(.tcg, restored))
        #expect(warm.filter { !cold.contains($0) }.first == "-incoming defer")
        // Beyond that only the files of the disks of its own are others.
        #expect(warm.count == cold.count + 2 && warm.filter { !cold.contains($0) }.count == 5)
        let drives = QEMUDrive.all(of: restored) { DiskChain(path: $0, format: $1 ?? .qcow2) }
        #expect(
            drives.map(\.preparation) == [
                .none, .overlay(base: "/s/disk1", format: .qcow2), .overlay(base: "/s/disk2", format: .qcow2),
                .overlay(base: "/s/disk3", format: .raw), .none,
            ])
        #expect(drives.map(\.serial) == ["root", "data", "disk0", "disk1", "vmlab-xchg"])
        #expect(drives.filter { !$0.isReadOnly }.allSatisfy { $0.path.hasPrefix("/run/m/") })
    }

    @Test("RAM of a golden is a file that is written to; that of its clones is the same file, which is not")
    func memory() {
        func added(_ change: (inout MachineConfiguration) -> Void) -> [String] {
            var changed = small
            change(&changed)
            return lines(.tcg, changed).filter { !lines(.tcg, small).contains($0) }
        }
        func file(_ path: String, _ share: Bool) -> [String] {
            [
                "-M q35,vmport=off,smbus=off,sata=off,memory-backend=pc.ram",
                #"-object {"qom-type":"memory-backend-file","id":"pc.ram","mem-path":"\#(path)","size":268435456,"#
                    + #""share":\#(share)}"#,
            ]
        }
        let incoming = ["-incoming defer", "-global migration.announce-rounds=0"]
        #expect(added { $0.goldenFolder = "/g" } == file("/g/memory", true))
        let saved = SavedMachine(state: "/s/state", memory: "/s/memory")
        #expect(added { $0.restoring = saved } == file("/s/memory", false) + incoming)
        // A clone's own memory is nowhere, so it cannot be left somewhere.
        #expect(added { ($0.restoring, $0.goldenFolder) = (saved, "/g") }.contains(file("/s/memory", false)[1]))
        #expect(added { $0.restoring = SavedMachine(state: "/s/state") } == incoming)
    }

    @Test("A fingerprint is that of the machine, not of the guest, and changes with whatever a state depends on")
    func fingerprints() throws {
        let backend = QEMUBackend(executable: "/bin/sh", accelerator: .tcg)
        var machine = small
        machine.image.disks = [ImageDisk(path: "/k/root.qcow2", format: .qcow2, serial: "root", readOnly: true)]
        machine.disks = [.file(path: "/u/disk.qcow2"), .scratch(size: ByteCount(5))]
        machine.exchangeDisk = "/run/m/exchange"
        machine.networks = [NetworkAttachment(mac: "52:54:00:00:00:01", local: "/run/a", remote: "/run/b")]
        machine.cmdline = "quiet vmlab.port=vmlab.com2 vmlab.guest=lin-1"
        func print(_ backend: QEMUBackend = backend, _ change: (inout MachineConfiguration) -> Void) -> String? {
            var changed = machine
            change(&changed)
            return backend.fingerprint(of: changed)
        }
        let own = try #require(backend.fingerprint(of: machine))
        #expect(own.contains("/bin/sh"))
        let same = print {
            ($0.name, $0.directory, $0.exchangeDisk) = ("lin-2", "/run/n", "/run/n/exchange")
            ($0.goldenFolder, $0.image.kernel) = ("/g", "/elsewhere/vmlinux")
            ($0.disks[0], $0.cmdline) = (.file(path: "/u/copy"), "quiet vmlab.port=vmlab.com2 vmlab.guest=lin-2")
            $0.networks = [NetworkAttachment(mac: "52:54:00:00:00:02", local: "/a", remote: "/b")]
            $0.restoring = SavedMachine(state: "/s", memory: "/m")
        }
        #expect(same == own)
        let others = [
            print { $0.memory = .mebibytes(512) }, print { $0.cpus = 2 }, print { $0.nested = true },
            print { $0.disks.removeLast() }, print { $0.exchangeDisk = nil }, print { $0.networks = [] },
            print { $0.cmdline = "quiet" }, print { $0.image.initrd = nil },
            print(QEMUBackend(executable: "/bin/ls", accelerator: .tcg)) { _ in },
            print(QEMUBackend(executable: "/bin/sh", accelerator: .kvm)) { _ in },
        ]
        #expect(Set(others + [own]).count == others.count + 1)
    }

    @Test(
        "Versions as distributions print them",
        arguments: [
            ("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)\nCopyright", QEMUVersion(major: 7, minor: 2)),
            ("QEMU emulator version 10.0.0", QEMUVersion(major: 10, minor: 0)),
            ("QEMU emulator version 6.1", QEMUVersion(major: 6, minor: 1)),
        ])
    func versions(text: String, version: QEMUVersion) {
        #expect(QEMUVersion(parsing: text) == version)
        #expect(QEMUVersion(parsing: "something else") == nil)
    }
}
