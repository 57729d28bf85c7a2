import Diagnostics
import Foundation
import HostSystem
import LabSpec
import Testing

@testable import LabImages

@Suite("Disk files", .timeLimit(.minutes(1)))
struct DiskChainTests {
    /// A file in a folder of its own.
    private struct Folder {
        let path: String

        func write(_ name: String, _ bytes: [UInt8], at offset: Int = 0, size: Int = 1 << 20) throws -> String {
            let file = "\(path)/\(name)"
            var content = [UInt8](repeating: 0, count: max(size, offset + bytes.count))
            content.replaceSubrange(offset..<offset + bytes.count, with: bytes)
            try Data(content).write(to: URL(fileURLWithPath: file))
            return file
        }

        /// A qcow2 of version 3 over another file, or with its data in another one.
        func qcow2(_ name: String, over base: String? = nil, _ driver: String? = nil, data: String? = nil) throws
            -> String
        {
            func number(_ value: Int, _ count: Int) -> [UInt8] {
                (0..<count).reversed().map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
            }
            func extra(_ kind: Int, _ text: String?) -> [UInt8] {
                guard let text else { return [] }
                let bytes = Array(text.utf8)
                return number(kind, 4) + number(bytes.count, 4) + bytes
                    + [UInt8](repeating: 0, count: (8 - bytes.count % 8) % 8)
            }
            let extensions = extra(0xe279_2aca, driver) + extra(0x4441_5441, data) + number(0, 8)
            let place = base == nil ? 0 : 104 + extensions.count
            var header = number(0x5146_49fb, 4) + number(3, 4) + number(place, 8) + number(base?.utf8.count ?? 0, 4)
            header += number(16, 4) + number(1 << 20, 8) + [UInt8](repeating: 0, count: 40)
            header += number(data == nil ? 0 : 4, 8) + [UInt8](repeating: 0, count: 20) + number(104, 4)
            return try write(name, header + extensions + Array((base ?? "").utf8))
        }

        func problem(_ path: String, as format: ImageDisk.Format? = nil) -> Diagnostic? {
            do throws(Diagnostic) {
                _ = try DiskChain(reading: path, as: format, within: HostAccess(to: [self.path]))
                return nil
            } catch {
                return error
            }
        }

        func formats(_ path: String, as format: ImageDisk.Format? = nil) -> [ImageDisk.Format] {
            (try? DiskChain(reading: path, as: format, within: HostAccess(to: [self.path])))?.layers.map(\.format) ?? []
        }
    }

    private func withFolder(_ body: (Folder) async throws -> Void) async throws {
        try await withCache { cache in try await body(Folder(path: cache.directory)) }
    }

    @Test(
        "A15: whatever has a known signature is attached as what it is, or named with the command that makes it a disk")
    func signatures() async throws {
        try await withFolder { folder in
            for signature in DiskSignature.all {
                let size = 1 << 20
                let offset =
                    switch signature.place {
                    case .start(let offset): offset
                    case .end(let distance): size - distance
                    }
                let path = try folder.write("any.bin", signature.bytes, at: offset, size: size)
                switch signature.meaning {
                case .attached(.vmdk):
                    // A capacity of none: its data are elsewhere.
                    #expect(folder.problem(path)?.remedy?.contains("qemu-img convert -f vmdk -O qcow2") == true)
                case .attached(.qcow2):
                    #expect(folder.problem(path)?.message.hasSuffix("has a damaged header") == true)
                case .attached(let format): #expect(folder.formats(path) == [format], "\(signature.name)")
                case .converted(let driver):
                    let problem = folder.problem(path)
                    #expect(problem?.remedy?.contains("`qemu-img convert -f \(driver) -O qcow2 \(path) ") == true)
                    #expect(problem?.message.contains(signature.name) == true)
                case .packed(let command):
                    #expect(folder.problem(path)?.remedy?.contains("`\(command) \(path)`") == true)
                }
                // Who says so gets the bytes as they are.
                #expect(folder.formats(path, as: .raw) == [.raw])
            }
        }
    }

    @Test("A15: file systems, LUKS, tar archives and text are raw disks; an OVA is not")
    func raw() async throws {
        try await withFolder { folder in
            func formats(_ name: String, _ bytes: [UInt8], size: Int = 1 << 20) throws -> [ImageDisk.Format] {
                folder.formats(try folder.write(name, bytes, size: size))
            }
            for bytes in [
                Array("LUKS\u{ba}\u{be}".utf8), Array("hsqs".utf8), [0x55, 0xaa], Array("plain text".utf8), [],
            ] {
                let found = try formats("disk.img", bytes)
                #expect(found == [.raw])
            }
            #expect(try formats("empty", [], size: 0) == [.raw])
            #expect(try formats("flat-flat.vmdk", []) == [.raw])
            let tar = Array("file".utf8) + [UInt8](repeating: 0, count: 253) + Array("ustar".utf8)
            #expect(try formats("a.tar", tar) == [.raw])
            let ova = Array("vm.ovf".utf8) + [UInt8](repeating: 0, count: 251) + Array("ustar".utf8)
            let packed = try folder.write("vm.ova", ova)
            #expect(folder.problem(packed)?.remedy?.contains("tar -xf") == true)
        }
    }

    @Test(
        "A15: a file that is not what its name or its `format:` says is named",
        arguments: ["qcow2", "vdi", "VHD", "xz"])
    func pretenders(suffix: String) async throws {
        try await withFolder { folder in
            let path = try folder.write("disk.\(suffix)", [1, 2, 3])
            #expect(folder.problem(path)?.message == "\(path) is called \(suffix.lowercased()) but is not one")
            #expect(folder.formats(path, as: .raw) == [.raw])
            #expect(folder.problem(path, as: .vhdx)?.message == "the disk \(path) is not a vhdx image")
        }
    }

    @Test("A15: qemu-img's own disks are known, and those that are differences are named")
    func tools() async throws {
        guard Tool.find("qemu-img") != nil else { return }
        try await withFolder { folder in
            func make(_ name: String, _ format: String, _ options: String...) async throws -> String {
                let path = "\(folder.path)/\(name)"
                try await Tool.run("qemu-img", ["create", "-q", "-f", format] + options + [path, "9M"]).checked(
                    "qemu-img")
                return path
            }
            for format in ImageDisk.Format.allCases where format != .iso {
                #expect(try await folder.formats(make("a", format.driver)) == [format])
            }
            let base = try await make("b", "vmdk")
            for path in [
                try await make("fixed", "vpc", "-o", "subformat=fixed"),
                try await make("stream", "vmdk", "-o", "subformat=streamOptimized"),
            ] { #expect(folder.formats(path).count == 1) }
            #expect(try await folder.problem(make("flat", "vmdk", "-o", "subformat=monolithicFlat")) != nil)
            #expect(try await folder.problem(make("child", "vmdk", "-b", base, "-F", "vmdk")) != nil)
            #expect(try await folder.problem(make("child", "qed", "-b", base, "-F", "vmdk")) != nil)
            #expect(try await folder.problem(make("old", "qcow"))?.remedy?.contains("-f qcow ") == true)
            let chain = try await make("top", "qcow2", "-b", base, "-F", "vmdk")
            #expect(folder.formats(chain) == [.qcow2, .vmdk])
        }
    }

    @Test("A16: a backing file that is missing, elsewhere by now, or no file is named with the remedy")
    func missing() async throws {
        try await withFolder { folder in
            let top = try folder.qcow2("top", over: "gone.raw", "raw")
            let problem = try #require(folder.problem(top))
            #expect(problem.message == "the disk \(top) needs the file \(folder.path)/gone.raw, which is not there")
            #expect(problem.remedy == "give it the new place: `qemu-img rebase -u -F raw -b FILE \(top)`")
            let above = try folder.qcow2("above", over: "top", "qcow2")
            #expect(folder.problem(above)?.message == problem.message)
            _ = try folder.write("gone.raw", [])
            #expect(folder.formats(above) == [.qcow2, .qcow2, .raw])
            #expect(try folder.problem(folder.qcow2("a", over: "sub/none", "raw")) != nil)
            #expect(try folder.problem(folder.qcow2("a", over: "nbd://localhost/x", "raw")) != nil)
            #expect(try folder.problem(folder.qcow2("a", over: "json:{}", "raw")) != nil)
            #expect(try folder.problem(folder.qcow2("a", over: ".", "raw")) != nil)
            #expect(try folder.problem(folder.qcow2("a", over: "gone.raw", "host_device")) != nil)
            #expect(
                try folder.problem(folder.qcow2("a", over: "gone.raw", "qcow2"))?.message.contains("is not a qcow2")
                    == true)
            // Without a word in the header, by the bytes.
            #expect(try folder.formats(folder.qcow2("a", over: "file:gone.raw")) == [.qcow2, .raw])
            #expect(mkfifo("\(folder.path)/pipe", 0o600) == 0)
            #expect(try folder.problem(folder.qcow2("a", over: "pipe", "raw")) != nil)
        }
    }

    @Test("A16: a disk that is its own backing file is named, however many files that takes")
    func loops() async throws {
        try await withFolder { folder in
            #expect(
                try folder.problem(folder.qcow2("self", over: "self", "qcow2"))?.message.hasSuffix(
                    "is its own backing file")
                    == true)
            _ = try folder.qcow2("a", over: "b", "qcow2")
            let path = try folder.qcow2("b", over: "./a", "qcow2")
            #expect(folder.problem(path)?.message == "the disk \(path) is its own backing file")
            for index in 0..<300 { _ = try folder.qcow2("c\(index)", over: "c\(index + 1)", "qcow2") }
            #expect(folder.problem("\(folder.path)/c0")?.message.hasSuffix("is its own backing file") == true)
        }
    }

    @Test(
        "A16: no header leads out of what the lab may read, by path, by link or by a data file, and `--allow` opens more"
    )
    func reach() async throws {
        try await withFolder { folder in
            for disk in [
                try folder.qcow2("a", over: "/etc/passwd", "raw"),
                try folder.qcow2("b", over: "../../../../../etc/passwd"),
                try folder.qcow2("c", data: "/etc/passwd"),
            ] {
                let problem = try #require(folder.problem(disk))
                #expect(problem.message.contains("which its guest may not read"), "\(problem.message)")
            }
            #expect(symlink("/etc/passwd", "\(folder.path)/link") == 0)
            #expect(try folder.problem(folder.qcow2("d", over: "link", "raw")) != nil)
            _ = try folder.write("own.data", [])
            let own = try folder.qcow2("e", data: "own.data")
            let chain = try DiskChain(reading: own, within: HostAccess(to: [folder.path]))
            #expect(chain.layers == [.init(path: own, format: .qcow2, data: "\(folder.path)/own.data")])
            let over = try folder.qcow2("a", over: "/etc/passwd", "raw")
            #expect(folder.problem(over)?.remedy?.hasPrefix("open it with `--allow /etc/passwd`") == true)
            for access in [HostAccess.everything, HostAccess(to: [folder.path, "/etc/passwd"])] {
                #expect(try DiskChain(reading: over, within: access).layers.count == 2)
            }
        }
    }

    @Test("A15, A16: a lab's disks are looked at where they are written")
    func places() async throws {
        try await withFolder { folder in
            _ = try folder.qcow2("top.img", over: "gone.raw", "raw")
            _ = try folder.write("disk.xz", [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0])
            let lab = """
                lab: a
                guests:
                  g:
                    image: debian
                    disks: [1GiB, ./top.img, {path: disk.xz}, {path: disk.xz, format: raw}]
                  h: {image: own}
                images:
                  own: {os: linux, disk: {path: disk.xz}}
                tasks: [{name: t, run: 'true'}]

                """
            let file = "\(folder.path)/lab.yaml"
            try Data(lab.utf8).write(to: URL(fileURLWithPath: file))
            var problems: [Diagnostic] = []
            _ = try LabFile.load(
                path: file, catalog: Set(ImageCatalog.names),
                checking: { lab in
                    problems = ImageCatalog.facts(of: lab).problems
                    return []
                })
            let places = problems.map { "\($0.span?.start.line ?? 0):\($0.span?.start.column ?? 0)" }
            #expect(places.sorted() == ["5:19", "5:37", "8:26"])
        }
    }
}
