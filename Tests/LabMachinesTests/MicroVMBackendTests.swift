import Diagnostics
import Glibc
import GuestConsole
import HostSystem
import GuestControl
import LabImages
import LabSpec
import LabTestSupport
import QMP
import Quantities
import Testing

@testable import LabMachines

@Suite("Guests in vmlab-vmm", .timeLimit(.minutes(1)))
struct MicroVMBackendTests {
    private func configuration(in folder: String) -> MachineConfiguration {
        MachineConfiguration(
            name: "lin-1",
            image: BootableImage(name: "debian", id: "1", os: .linux, kernel: "/k/kernel", initrd: "/k/initrd"),
            memory: ByteCount((100 << 20) + 1), cpus: 2,
            cmdline: "console=ttyS0 vmlab.port=vmlab.com2 vmlab.keys=hvc0 vmlab.guest=lin-1", directory: folder)
    }

    /// Plays vmlab-vmm: greets, tells its configuration on COM1, and echoes COM2 until it is told to quit.
    private func fakeMonitor(in folder: String, _ body: String = standardBody) throws -> MicroVMBackend {
        let path = folder + "/fake-vmm"
        let text = Array("#!/bin/bash\n\(body)\n".utf8)
        let file = try OwnedDescriptor.open(path, O_WRONLY | O_CREAT, mode: 0o700)
        guard write(file.number, text, text.count) == text.count else { throw SystemCallError("write", path) }
        return MicroVMBackend(executable: path)
    }

    private static let standardBody = """
        [ "$*" = "--config-fd 6" ] || exit 2
        cat <&6 >&4; echo >&4
        cat <&5 >&5 &
        echo '{"QMP": {"version": {}, "capabilities": []}}' >&3
        while read -r line <&3; do
            id=${line##*\\"id\\":}; id=${id%\\}*}
            case $line in
            *system_reset*) echo '{"event": "RESET", "data": {"guest": true}, "timestamp": {"seconds": 1, "microseconds": 1}}' >&3
                echo '{"event": "RESET", "data": {"guest": true}, "timestamp": {"seconds": 1, "microseconds": 2}}' >&3 ;;
            *system_powerdown*) echo '{"event": "SHUTDOWN", "data": {"guest": true}}' >&3 ;;
            esac
            echo "{\\"return\\": {}, \\"id\\": $id}" >&3
            case $line in *quit*) kill %1; exit 0 ;; esac
        done
        """

    private func read(_ channel: any ByteChannel, until end: String) async throws -> String {
        try await withDeadline(.now + .seconds(20)) {
            var bytes: [UInt8] = []
            while !String(decoding: bytes, as: UTF8.self).hasSuffix(end) {
                let more = try await channel.read()
                if more.isEmpty { break }
                bytes += more
            }
            return String(decoding: bytes, as: UTF8.self)
        }
    }

    @Test("The machine's configuration is a function of the guest's")
    func mapping() throws {
        var wanted = configuration(in: "/run/m")
        wanted.image.disks = [
            ImageDisk(path: "/k/root.squashfs", format: .raw, serial: "vmlab-root", readOnly: true),
            ImageDisk(path: "/k/disk.raw", format: .raw, serial: "data", readOnly: false),
            ImageDisk(path: "/k/disk.qcow2", format: .qcow2, serial: "more", readOnly: true),
        ]
        wanted.disks = [.scratch(size: .gibibytes(2)), .file(path: "/u/x.qcow2"), .file(path: "/u/y.raw")]
        wanted.exchangeDisk = "/run/m/exchange"
        wanted.networks = [
            NetworkAttachment(mac: "52:54:00:00:00:02", local: "/run/a", remote: "/run/switch")
        ]
        let disks = MicroVMDisk.all(of: wanted, chainOf: namedChain)
        #expect(
            disks == [
                MicroVMDisk(path: "/k/root.squashfs", serial: "vmlab-root", isReadOnly: true),
                MicroVMDisk(path: "/k/disk.raw", serial: "data", overlay: "/run/m/overlay1"),
                MicroVMDisk(
                    path: "/run/m/disk2", serial: "more", isReadOnly: true,
                    preparation: .unpacked(from: DiskChain(path: "/k/disk.qcow2", format: .qcow2)), keeping: .copied),
                MicroVMDisk(
                    path: "/run/m/scratch3", serial: "disk0", preparation: .sparse(bytes: 2 << 30), keeping: .copied),
                MicroVMDisk(
                    path: "/run/m/disk4", serial: "disk1",
                    preparation: .unpacked(from: DiskChain(path: "/u/x.qcow2", format: .qcow2)), keeping: .copied),
                MicroVMDisk(path: "/u/y.raw", serial: "disk2", overlay: "/run/m/overlay5"),
                MicroVMDisk(path: "/run/m/exchange", serial: "vmlab-xchg"),
            ])
        // What is written to or removed afterwards is the machine's own.
        #expect(disks.flatMap(\.made).allSatisfy { $0.hasPrefix("/run/m/") && $0 != "/run/m/exchange" })
        #expect(
            VMConfiguration(wanted, disks)
                == VMConfiguration(
                    name: "lin-1", kernel: "/k/kernel", initrd: "/k/initrd",
                    cmdline: "console=ttyS0 vmlab.guest=lin-1", memory: (100 << 20) + 4096, cpus: 2,
                    com1: .descriptor(4), com2: .descriptor(5), monitor: .descriptor(3),
                    disks: disks.map {
                        .init(path: $0.path, serial: $0.serial, readOnly: $0.isReadOnly, overlay: $0.overlay)
                    },
                    networks: [
                        .init(mac: "52:54:00:00:00:02", link: .sockets(local: "/run/a", remote: "/run/switch"))
                    ], snapshots: "/run/m"))
    }

    @Test("A golden's memory is in its folder; a clone reads the disks that were the saved machine's own")
    func clones() throws {
        var golden = configuration(in: "/run/m")
        golden.goldenFolder = "/g"
        #expect(VMConfiguration(golden, []).golden == "/g/state")
        var clone = configuration(in: "/run/c")
        clone.image.disks = [ImageDisk(path: "/k/root.raw", format: .raw, serial: "vmlab-root", readOnly: false)]
        clone.disks = [.scratch(size: .gibibytes(2)), .file(path: "/u/x.qcow2"), .file(path: "/u/y.raw")]
        clone.restoring = SavedMachine(
            state: "/g/state", memory: "/g/state.memory",
            disks: [
                1: SavedMachine.Disk(path: "/g/disk1", format: .raw),
                2: SavedMachine.Disk(path: "/g/disk2", format: .raw),
            ])
        let disks = MicroVMDisk.all(of: clone, chainOf: namedChain)
        #expect(
            disks == [
                MicroVMDisk(path: "/k/root.raw", serial: "vmlab-root", overlay: "/run/c/overlay0"),
                MicroVMDisk(path: "/g/disk1", serial: "disk0", overlay: "/run/c/overlay1", keeping: .shared),
                MicroVMDisk(path: "/g/disk2", serial: "disk1", overlay: "/run/c/overlay2", keeping: .shared),
                MicroVMDisk(path: "/u/y.raw", serial: "disk2", overlay: "/run/c/overlay3"),
            ])
        #expect(VMConfiguration(clone, disks).restore == "/g/state")
        let backend = MicroVMBackend(executable: "/bin/sh")
        #expect(backend.fingerprint(of: clone) == backend.fingerprint(of: golden))
        #expect(backend.fingerprint(of: clone) != MicroVMBackend(executable: "/bin/ls").fingerprint(of: clone))
    }

    @Test("The process gets its configuration and connections, is driven by QMP, and leaves nothing")
    func life() async throws {
        try await withTemporaryFolder { folder in
            var wanted = configuration(in: folder)
            wanted.disks = [.scratch(size: .mebibytes(3))]
            let backend = try fakeMonitor(in: folder)
            let machine = try await backend.start(wanted)
            #expect(try FileTree.names(in: folder) == ["fake-vmm", "scratch0"])
            let told = try await read(machine.console, until: "}\n")
            let disks = MicroVMDisk.all(of: wanted, chainOf: namedChain)
            #expect(try VMConfiguration(json: told.utf8) == VMConfiguration(wanted, disks))
            try await machine.commands.write(Array("abc".utf8))
            #expect(try await read(machine.commands, until: "abc") == "abc")
            try await machine.reset()
            try await machine.powerDown()
            await machine.end()
            await machine.end()
            var events: [MachineEvent] = []
            for await event in machine.events { events.append(event) }
            // Unlike SeaBIOS the built-in machine resets once when it says so, and twice when it says so.
            #expect(events == [.reset, .reset, .shutdown, .exited(status: "exit status 0", standardError: [])])
            #expect(kill(machine.processID, 0) == -1)
            #expect(try FileTree.names(in: folder) == ["fake-vmm"])
        }
    }

    @Test("What vmlab-vmm refuses is told in its own words, and nothing is left")
    func refused() async throws {
        try await withTemporaryFolder { folder in
            var wanted = configuration(in: folder)
            wanted.disks = [.scratch(size: .mebibytes(3))]
            let backend = try fakeMonitor(in: folder, "echo vmlab-vmm: error: no such kernel >&2; exit 2")
            let start = wanted
            let problem = await #expect(throws: Diagnostic.self) { try await backend.start(start) }
            #expect(problem?.message == "cannot start the guest lin-1")
            #expect(problem?.cause == "vmlab-vmm: exit status 2: error: no such kernel")
            #expect(problem?.notes == ["vmlab-vmm: error: no such kernel"])
            #expect(try FileTree.names(in: folder) == ["fake-vmm"])
        }
    }

    @Test("A qcow2 disk is converted for the machine, which never writes to it", .requiresQEMU)
    func qcow2() async throws {
        try await withTemporaryFolder { folder in
            let base = folder + "/base.qcow2"
            try await Tool.run("qemu-img", ["create", "-q", "-f", "qcow2", base, "5M"], package: "qemu-utils")
                .checked("cannot make a disk")
            let before = try SmallFile.bytes(base)
            var wanted = configuration(in: folder)
            wanted.disks = [.file(path: base)]
            let machine = try await fakeMonitor(in: folder).start(wanted)
            var status = stat()
            #expect(stat(folder + "/disk0", &status) == 0 && status.st_size == 5 << 20)
            #expect(status.st_blocks < 100, "it is sparse")
            await machine.end()
            #expect(try FileTree.names(in: folder) == ["base.qcow2", "fake-vmm"])
            #expect(try SmallFile.bytes(base) == before)
        }
    }

    @Test("Guests that the built-in machine is not made for are refused before anything is made")
    func obstacles() async throws {
        try await withTemporaryFolder { folder in
            let backend = try fakeMonitor(in: folder)
            var firmware = configuration(in: folder)
            firmware.disks = [.scratch(size: .mebibytes(3))]
            firmware.image.firmware = "/k/OVMF.fd"
            let wanted = firmware
            let problem = await #expect(throws: Diagnostic.self) { try await backend.start(wanted) }
            #expect(problem?.remedy == "use `backend: auto` or `backend: qemu` for this guest")
            #expect(try FileTree.names(in: folder) == ["fake-vmm"])
        }
    }
}
