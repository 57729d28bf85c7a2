import Diagnostics
import Glibc
import HostSystem
import JSON
import LabSpec
import LabTestSupport
import Testing

@testable import LabMachines

@Suite("Overlays", .requiresQEMU, .timeLimit(.minutes(1)))
struct QCow2OverlayTests {
    @discardableResult
    private func image(_ arguments: String...) async throws -> ToolResult {
        try await Tool.run("qemu-img", arguments, package: "qemu-utils").checked("qemu-img \(arguments)")
    }

    @Test(
        "qemu-img finds nothing wrong with an overlay, and the base's content in it",
        arguments: [0, 1, 512, 100_000, 1 << 29, (1 << 29) + 1, 5 << 30, 1 << 43] as [UInt64])
    func raw(size: UInt64) async throws {
        try await withTemporaryFolder { folder in
            let base = "\(folder)/base, \"one\".raw"
            try FileTree.makeSparseFile(base, size: size)
            if size > 3 {
                let file = try OwnedDescriptor.open(base, O_WRONLY)
                #expect(pwrite(file.number, Array("end".utf8), 3, off_t(size - 3)) == 3)
            }
            let overlay = "\(folder)/overlay.qcow2"
            try QCow2Overlay(over: base, .raw).write(to: overlay)
            try await image("check", "-q", overlay)
            let facts = try JSONValue(parsing: try await image("info", "--output=json", overlay).output)
            #expect(facts["format"] == "qcow2")
            #expect(facts["virtual-size"]?.integerValue == Int64((size + 511) / 512 * 512))
            #expect(facts["backing-filename"]?.stringValue == base && facts["backing-filename-format"] == "raw")
            if size < 1 << 31 { try await image("compare", "-q", "-f", "raw", "-F", "qcow2", base, overlay) }
        }
    }

    @Test("An overlay is written to, and overlaid again, as one that qemu-img made")
    func layers() async throws {
        try await withTemporaryFolder { folder in
            let (ours, theirs) = ("\(folder)/ours", "\(folder)/theirs")
            try await image("create", "-q", "-f", "qcow2", "\(folder)/base", "1G")
            try QCow2Overlay(over: "\(folder)/base", .qcow2).write(to: "\(ours)1")
            try await image("create", "-q", "-f", "qcow2", "-b", "\(folder)/base", "-F", "qcow2", "\(theirs)1")
            for file in [ours, theirs] {
                try await Tool.run(
                    "qemu-io", ["-f", "qcow2", "-c", "write -P 7 700M 3M", "\(file)1"], package: "qemu-utils"
                ).checked("qemu-io")
                try QCow2Overlay(over: "\(file)1", .qcow2).write(to: "\(file)2")
                try await image("check", "-q", "\(file)1")
                try await image("check", "-q", "\(file)2")
            }
            try await image("compare", "-q", "\(ours)2", "\(theirs)2")
        }
    }

    @Test("What no overlay can be made over is named, and nothing is left")
    func refused() async throws {
        try await withTemporaryFolder { folder in
            func expectRefusal(_ base: String, _ format: ImageDisk.Format) {
                let error = #expect(throws: Diagnostic.self) {
                    try QCow2Overlay(over: base, format).write(to: "\(folder)/overlay")
                }
                #expect(error?.message == "cannot make an overlay over the disk \(base)")
            }
            expectRefusal("\(folder)/missing", .raw)
            try FileTree.makeSparseFile("\(folder)/raw", size: 1000)
            expectRefusal("\(folder)/raw", .qcow2)
            let deep = folder + String(repeating: "/" + String(repeating: "a", count: 200), count: 5)
            try FileTree.makeFolder(deep)
            try FileTree.makeSparseFile("\(deep)/raw", size: 1000)
            expectRefusal("\(deep)/raw", .raw)
            let file = try OwnedDescriptor.open("\(folder)/huge", O_WRONLY | O_CREAT)
            var header = [UInt8](repeating: 0xff, count: 104)
            header.replaceSubrange(..<4, with: [0x51, 0x46, 0x49, 0xfb])
            #expect(write(file.number, header, header.count) == header.count)
            expectRefusal("\(folder)/huge", .qcow2)
            #expect(access("\(folder)/overlay", F_OK) == -1)
            // What is there already stays.
            #expect(throws: Diagnostic.self) {
                try QCow2Overlay(over: "\(folder)/raw", .raw).write(to: "\(folder)/huge")
            }
            #expect(access("\(folder)/huge", F_OK) == 0)
        }
    }
}
