import Diagnostics
import Foundation
import HostSystem
import JSON
import Synchronization
import Testing

@testable import LabImages
@testable import LabSpec

/// Disks that a lab brings: how they boot, what is learned of them, and what they become.
@Suite("Disks of labs' own")
struct ForeignTests {
    // MARK: Boot sectors

    private static let empty = [UInt8](repeating: 0, count: BootSectors.count)

    private func record(code: Bool = false, kind: UInt8 = 0x83) -> [UInt8] {
        var bytes = Self.empty
        if code { bytes[0] = 0xeb }
        bytes[446 + 4] = kind
        (bytes[510], bytes[511]) = (0x55, 0xaa)
        return bytes
    }

    /// A GPT whose entry `number` is an EFI system partition; entries begin at sector 2 and have 128 bytes.
    private func table(systemPartition number: Int?) -> [UInt8] {
        var bytes = record(kind: 0xee)
        bytes.replaceSubrange(512..<520, with: Array("EFI PART".utf8))
        (bytes[512 + 72], bytes[512 + 80], bytes[512 + 84]) = (2, 128, 128)
        guard let number else { return bytes }
        let kind: [UInt8] = [
            0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b,
        ]
        bytes.replaceSubrange(1024 + number * 128..<1024 + number * 128 + 16, with: kind)
        return bytes
    }

    @Test("a program in the first sector is for BIOS, an EFI system partition for UEFI")
    func bootSectors() {
        #expect(BootSectors(record(code: true)).hasBIOSCode)
        #expect(!BootSectors(record()).hasBIOSCode && !BootSectors(record()).hasSystemPartition)
        #expect(BootSectors(record(kind: 0xef)).hasSystemPartition)
        #expect(BootSectors(table(systemPartition: 14)).hasSystemPartition)
        #expect(!BootSectors(table(systemPartition: nil)).hasSystemPartition)
        // Without the signature nothing is a boot record.
        var unsigned = record(code: true, kind: 0xef)
        unsigned[511] = 0
        #expect(!BootSectors(unsigned).hasBIOSCode && !BootSectors(unsigned).hasSystemPartition)
    }

    @Test("a damaged or short table is read without harm", arguments: [0, 1, 511, 512, 600, 1024, 1100])
    func damagedTables(length: Int) {
        var bytes = table(systemPartition: 2)
        for place in 512 + 72..<512 + 88 { bytes[place] = 0xff }
        #expect(!BootSectors(bytes).hasSystemPartition)
        #expect(!BootSectors(Array(table(systemPartition: 120).prefix(length))).hasSystemPartition)
    }

    @Test("a disk for UEFI gets the host's OVMF, one for BIOS nothing, and one with neither is known")
    func firmware() async throws {
        try await withCache { cache in
            let store = ImageStore(cacheDirectory: "\(cache.directory)/cache", catalog: ImageCatalog([]))
            func start(_ bytes: [UInt8], as format: ImageDisk.Format = .raw) async throws -> DiskStart {
                let raw = "\(cache.directory)/disk"
                try SmallFile.replace(raw, with: bytes)
                var path = raw
                if format != .raw {
                    path = "\(cache.directory)/disk.\(format.rawValue)"
                    try await Tool.run(
                        "qemu-img", ["convert", "-f", "raw", "-O", format.driver, raw, path], package: "qemu-utils"
                    ).checked("qemu-img")
                }
                let declared = DeclaredImage(
                    ImageDeclaration(name: "own", os: .linux, disk: path), base: nil)
                return try await store.start(of: try declared.bootable(on: nil), declared: declared)
            }
            let bios = try await start(record(code: true))
            #expect(bios == .asDeclared)
            if let ovmf = Firmware.found {
                let uefi = try await start(table(systemPartition: 0))
                #expect(uefi == .firmware(ovmf))
                if Tool.find("qemu-img") != nil {
                    for format in [ImageDisk.Format.qcow2, .vmdk, .vdi, .vhdx] {
                        let other = try await start(table(systemPartition: 0), as: format)
                        #expect(other == .firmware(ovmf))
                    }
                }
            }
            let nothing = try await start(record())
            #expect(nothing == .nothing)
        }
    }

    // MARK: What is learned

    @Test("what an installation prints is read; a guest that says nothing, or lies, has no agent")
    func learned() {
        let lines = """
            vmlab-learned: system Debian GNU/Linux 12 (bookworm)
            something else
            vmlab-learned: kernel 6.1.0
            vmlab-learned: tool bash
            vmlab-learned: tool ip
            vmlab-learned: init systemd
            vmlab-learned: channel virtio
            """
        let without = LearnedGuest(lines)
        #expect(without.channel == nil && !without.isWhole)
        let with = LearnedGuest(lines + "\nvmlab-learned: agent installed\n")
        #expect(with.channel == .virtio && with.start == .systemd && with.obstacle == nil)
        #expect(with.system == "Debian GNU/Linux 12 (bookworm)" && with.tools == ["bash", "ip"])
        #expect(LearnedGuest("vmlab-learned: agent installed\nvmlab-learned: channel ../etc\n").isWhole == false)
        let flood = LearnedGuest(String(repeating: "vmlab-learned: tool x\n", count: 1000))
        #expect(flood.tools.count == 100)
    }

    @Test(
        "an agent's guests announce themselves, on the channel that their kernel drives, and go down by their own init")
    func applied() {
        func image(_ lines: [String]) -> BootableImage {
            var image = BootableImage(
                name: "own", id: "1", os: .linux, kernel: nil,
                console: ConsoleSpec(announces: false, ports: 1, user: "root"))
            image.apply(LearnedGuest(lines.map { "vmlab-learned: \($0)\n" }.joined()))
            return image
        }
        let systemd = image(["init systemd", "channel virtio", "agent installed"])
        #expect(systemd.console == ConsoleSpec() && systemd.cmdline == "vmlab.port=vmlab.com2 vmlab.keys=hvc0")
        #expect(systemd.shutdown.powerOff == "systemctl poweroff" && systemd.hasExchangeDisk)
        let small = image(["init inittab", "channel serial", "agent installed"])
        #expect(small.console == ConsoleSpec() && small.cmdline.isEmpty && small.shutdown.reboot == "sync; reboot")
        let none = image(["obstacle its root forgets"])
        #expect(none.console.user == "root" && none.agentObstacle == "its root forgets" && none.isCloneable)
    }

    @Test("a seed tells cloud-init of the lab's user and commands, and always of vmlab's way in")
    func seed() throws {
        let wanted = CloudInit(user: "bob", password: "p'w", keys: ["ssh-ed25519 AAAA"], commands: ["a", "b \"c\""])
        for (wish, hasUser) in [(wanted, true), (nil, false)] as [(CloudInit?, Bool)] {
            let text = CloudInitSeed.userData(wish)
            #expect(text.hasPrefix("#cloud-config\n"))
            let document = try JSONValue(parsing: String(text.dropFirst("#cloud-config\n".count)))
            #expect(document["bootcmd"]?[0]?[2]?.stringValue?.contains("vmlab:$6$") == true)
            #expect((document["users"] != nil) == hasUser)
            guard hasUser else { continue }
            #expect(document["users"]?[1]?["plain_text_passwd"]?.stringValue == "p'w")
            #expect(document["users"]?[1]?["ssh_authorized_keys"]?[0]?.stringValue == "ssh-ed25519 AAAA")
            #expect(document["runcmd"]?[1]?[2]?.stringValue == "b \"c\"")
        }
    }

    // MARK: What they become

    /// Stands for the guest in which the agent is installed.
    private final class Guest: ImageSetup {
        let says: String
        let images = Mutex<[BootableImage]>([])

        init(says: String) { self.says = says }

        func add(
            _ layer: ImageLayer, to image: BootableImage, access: HostAccess, logs: String,
            progress: @escaping ImageProgress
        ) async throws -> String {
            images.withLock { $0.append(image) }
            return says
        }
    }

    @Test(
        "an installation is made once on a copy; of a guest that cannot have it that is remembered too",
        .enabled("needs qemu-img") { Tool.find("qemu-img") != nil },
        arguments: [true, false])
    func installation(works: Bool) async throws {
        try await withCache { cache in
            let store = ImageStore(cacheDirectory: "\(cache.directory)/cache", catalog: ImageCatalog([]))
            let disk = "\(cache.directory)/own.raw"
            try SmallFile.replace(disk, with: record(code: true))
            let guest = Guest(
                says: works
                    ? "vmlab-learned: init inittab\nvmlab-learned: channel serial\nvmlab-learned: agent installed\n"
                    : "vmlab-learned: obstacle its root forgets\n")
            let console = ConsoleSpec(announces: false, ports: 1, user: "root", password: "secret")
            let parent = BootableImage(
                name: "own", id: "1", os: .linux, kernel: nil,
                disks: [ImageDisk(path: disk, format: .raw, serial: DeclaredImage.diskSerial, readOnly: false)],
                console: console)
            let tool = ImageDisk(path: "/agent.img", format: .raw, serial: "vmlab-agent", readOnly: true)
            let layer = ImageLayer(name: "own", setup: "install", isAgent: true)
            func make() async throws -> BootableImage {
                try await store.image(
                    parent, with: layer, by: guest, access: .everything, disks: [tool], strings: ["secret"]
                ) { _, _ in }
            }
            let made = try await make()
            #expect(try await make() == made)
            #expect(guest.images.withLock { $0.count } == 1)
            let booted = try #require(guest.images.withLock { $0.first })
            #expect(booted.disks.count == 2 && booted.disks[1] == tool && booted.strings == ["secret"])
            #expect(booted.disks[0].isBeingMade && booted.disks[0].format == .qcow2)
            // Only that guest has the tool and the way in.
            #expect(made.disks.count == 1 && made.strings.isEmpty)
            #expect(made.console.announces == works)
            #expect((made.disks[0].path != disk) == works && made.disks[0].format == (works ? .qcow2 : .raw))
            #expect(made.agentObstacle == (works ? nil : "its root forgets"))
        }
    }

    @Test("what has the agent, or cannot have it, is not given it; who asks for it there is told")
    func whoTakesIt() throws {
        func image(_ change: (inout ImageDeclaration) -> Void) -> DeclaredImage {
            var declaration = ImageDeclaration(name: "own", os: .linux, disk: #filePath)
            change(&declaration)
            return DeclaredImage(declaration, base: nil)
        }
        #expect(image { _ in }.takesAgent && image { _ in }.facts.isCloneable)
        #expect(!image { $0.agent = false }.takesAgent)
        #expect(image { $0.agent = false }.facts.isCloneable)
        #expect(!image { $0.os = .windows }.takesAgent)
        #expect(!image { $0.console = ConsoleSpec() }.takesAgent)
        #expect(!image { $0.console = ConsoleSpec(dialect: .uefi, announces: false, ports: 1) }.takesAgent)
        let refused = image {
            $0.os = .windows
            $0.agent = true
        }.problems()
        #expect(refused.map(\.message) == ["vmlab's agent cannot be installed in the image \"own\""])
    }
}
