import Diagnostics
import Foundation
import Glibc
import HostSystem
import LabSpec
import Quantities
import Synchronization
import Testing

@testable import LabImages

/// What guests add to images: made once, kept by all that goes in.
@Suite("Image layers", .enabled("needs qemu-img") { Tool.find("qemu-img") != nil })
struct LayerTests {
    /// Stands for a guest: counts, and does to the disk or the host's files what a test asks for.
    private final class Guest: ImageSetup {
        private let added = Mutex<[ImageLayer]>([])
        let work: @Sendable (_ disk: String, _ logs: String) async throws -> Void

        init(_ work: @escaping @Sendable (String, String) async throws -> Void = { _, _ in }) { self.work = work }

        var layers: [ImageLayer] { added.withLock { $0 } }

        func add(
            _ layer: ImageLayer, to image: BootableImage, access: HostAccess, logs: String,
            progress: @escaping ImageProgress
        ) async throws -> String {
            added.withLock { $0.append(layer) }
            #expect(image.disks[0].isBeingMade)
            try await work(image.disks[0].path, logs)
            return ""
        }
    }

    /// An image with a small disk.
    private func parent(_ cache: TemporaryCache, id: String = "1") async throws -> BootableImage {
        let disk = "\(cache.directory)/parent.qcow2"
        if !FileTree.exists(disk) {
            try await Tool.run("qemu-img", ["create", "-q", "-f", "qcow2", disk, "1M"]).checked("qemu-img")
        }
        return BootableImage(
            name: "debian", id: id, os: .linux, kernel: "/k",
            disks: [ImageDisk(path: disk, format: .qcow2, serial: "vmlab-root", readOnly: false)])
    }

    private func store(_ cache: TemporaryCache) -> ImageStore {
        ImageStore(cacheDirectory: "\(cache.directory)/cache", catalog: ImageCatalog([]))
    }

    @Test("a layer is made once, on a copy of its parent's disk; another command, parent or file makes another")
    func once() async throws {
        try await withCache { cache in
            let (store, guest) = (store(cache), Guest())
            let parent = try await parent(cache)
            let file = "\(cache.directory)/file"
            try SmallFile.replace(file, with: [1])
            func make(_ setup: String, on parent: BootableImage) async throws -> BootableImage {
                let layer = ImageLayer(name: "web", files: [FileCopy(host: file, guest: "/f")], setup: setup)
                return try await store.image(parent, with: layer, by: guest, access: .everything) { _, _ in }
            }
            let first = try await make("a", on: parent)
            #expect(first.name == "web" && first.kernel == "/k" && first.disks[0].path != parent.disks[0].path)
            #expect(!first.disks[0].isBeingMade)
            #expect(try await make("a", on: parent) == first)
            #expect(guest.layers.count == 1)
            #expect(try await make("b", on: parent).disks != first.disks)
            #expect(try await make("a", on: try await self.parent(cache, id: "2")).disks != first.disks)
            try SmallFile.replace(file, with: [2])
            #expect(try await make("a", on: parent).disks[0].path != first.disks[0].path)
            #expect(guest.layers.count == 4)
            #expect(cache.names("build").isEmpty)
            // It needs no other disk.
            let info = try await Tool.run("qemu-img", ["info", first.disks[0].path]).text
            #expect(!info.contains("backing file"))
            // Labs have used them just now; one that none has used for a month goes, and so does an old log.
            let log = "\(cache.directory)/cache/logs/old"
            try FileTree.makeFolder(log)
            let held = FilePath.folder(of: first.disks[0].path)
            let folders = cache.names("images").map { "\(store.directory)/images/\($0)" }
            let old = try #require(folders.first { $0 != held })
            for path in [log, "\(old)/manifest.json", "\(held)/manifest.json"] {
                let times = [timespec(tv_sec: 1, tv_nsec: 0), timespec(tv_sec: 1, tv_nsec: 0)]
                #expect(utimensat(AT_FDCWD, path, times, 0) == 0)
            }
            _ = try await store.prune()
            #expect(cache.names("images").count == 3 && !FileTree.exists(old) && !FileTree.exists(log))
            #expect(FileTree.exists(held), "it is in use")
            withExtendedLifetime(first) {}
        }
    }

    @Test("of one that fails nothing is kept but what it printed")
    func failure() async throws {
        try await withCache { cache in
            let guest = Guest { _, logs in
                try FileTree.makeFolder(logs)
                throw Diagnostic(.image, "its setup failed")
            }
            let parent = try await parent(cache)
            await #expect(throws: Diagnostic.self) {
                try await store(cache).image(
                    parent, with: ImageLayer(name: "web", setup: "false"), by: guest, access: .everything
                ) { _, _ in }
            }
            #expect(cache.names("images").isEmpty && cache.names("build").isEmpty && cache.names("logs").count == 1)
        }
    }

    @Test("a file that changes while its image is made is told, and the image is not kept")
    func changes() async throws {
        try await withCache { cache in
            let file = "\(cache.directory)/file"
            try SmallFile.replace(file, with: [1])
            let guest = Guest { _, _ in try SmallFile.replace(file, with: [2]) }
            let layer = ImageLayer(name: "web", files: [FileCopy(host: file, guest: "/f")])
            let parent = try await parent(cache)
            let problem = try #require(
                await #expect(throws: Diagnostic.self) {
                    try await store(cache).image(parent, with: layer, by: guest, access: .everything) { _, _ in }
                })
            #expect(problem.message == "a file of the image web changed while the image was made")
            #expect(cache.names("images").isEmpty)
        }
    }

    @Test("two that want the same layer at once make it once")
    func together() async throws {
        try await withCache { cache in
            let guest = Guest()
            let (store, parent) = (store(cache), try await parent(cache))
            let layer = ImageLayer(name: "web", setup: "a")
            async let one = store.image(parent, with: layer, by: guest, access: .everything) { _, _ in }
            async let two = store.image(parent, with: layer, by: guest, access: .everything) { _, _ in }
            #expect(try await one == two)
            #expect(guest.layers.count == 1)
        }
    }

    @Test("a file outside of what a lab may read is refused")
    func access() async throws {
        try await withCache { cache in
            let file = "\(cache.directory)/file"
            try SmallFile.replace(file, with: [1])
            let layer = ImageLayer(name: "web", files: [FileCopy(host: file, guest: "/f")])
            let (guest, parent) = (Guest(), try await parent(cache))
            await #expect(throws: Diagnostic.self) {
                try await store(cache).image(parent, with: layer, by: guest, access: HostAccess(to: ["/usr"])) { _, _ in
                }
            }
            #expect(guest.layers.isEmpty)
        }
    }

    @Test("images travel in one file; another cache takes them when every byte is right")
    func travel() async throws {
        try await withCache { cache in
            let recipe = Recipe(name: "fake", script: Array("echo kernel > $VMLAB_OUT/kernel".utf8))
            let store = cache.store(recipe)
            let image = try await store.image(named: "fake") { _, _ in }
            let file = "\(cache.directory)/fake.tar.zst"
            try await store.export(store.folders(of: image), to: file)
            try await withCache { other in
                let there = other.store(recipe)
                let (first, second) = (try await there.take(from: file), try await there.take(from: file))
                #expect(first.count == 1 && second.isEmpty)
                let same = try await there.image(named: "fake") { step, _ in Issue.record("\(step)") }
                #expect(same.id == image.id)
                #expect(other.names("build").isEmpty)
            }
            // One that was changed, or is none, is not taken.
            let kernel = try #require(image.kernel)
            try SmallFile.replace(kernel, with: Array("kernal\n".utf8))
            try await store.export(store.folders(of: image), to: file)
            for damaged in [file, kernel] {
                try await withCache { other in
                    await #expect(throws: Diagnostic.self) { try await other.store(recipe).take(from: damaged) }
                    #expect(other.names("images").isEmpty && other.names("build").isEmpty)
                }
            }
        }
    }

    @Test("a layer can make the disk larger, and not smaller")
    func size() async throws {
        try await withCache { cache in
            let (store, guest) = (store(cache), Guest())
            let parent = try await parent(cache)
            func make(_ size: ByteCount) async throws -> BootableImage {
                try await store.image(
                    parent, with: ImageLayer(name: "web", size: size), by: guest, access: .everything
                ) { _, _ in }
            }
            let made = try await make(.mebibytes(3))
            let info = try await Tool.run("qemu-img", ["info", made.disks[0].path]).text
            #expect(info.contains("(3145728 bytes)"), "\(info)")
            let refused = await #expect(throws: Diagnostic.self) { _ = try await make(ByteCount(512 << 10)) }
            #expect(refused?.remedy?.contains("a disk only grows") == true)
            #expect(cache.names("build").isEmpty)
        }
    }
}
