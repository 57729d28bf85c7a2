import Diagnostics
import Foundation
import Glibc
import HostSystem
import Synchronization
import Testing

@testable import LabImages
@testable import LabSpec

@Suite("Image store")
struct ImageStoreTests {
    @Test("a recipe runs once; the second time its image is there, with its header's facts")
    func buildsOnce() async throws {
        try await withCache { cache in
            let store = cache.store(Self.recipe("echo built >> $VMLAB_LOG; echo kernel > $VMLAB_OUT/kernel", cache))
            let steps = Steps()
            let first = try await store.image(named: "fake", progress: steps.receive)
            let second = try await store.image(named: "fake") { step, _ in Issue.record("unexpected step \(step)") }
            #expect(first == second)
            #expect(cache.log == "built\n")
            #expect(steps.received.last == "ready")
            #expect(first.cmdline == "console=ttyS0 a=b:c")
            #expect(first.defaultMemory == .mebibytes(320))
            #expect(first.minimumMemory == .mebibytes(96))
            #expect(try String(contentsOfFile: #require(first.kernel), encoding: .utf8) == "kernel\n")
            #expect(cache.names("build").isEmpty)
        }
    }

    @Test("another script or another support file is another image; a file that the script does not name is not")
    func keys() {
        let script = Array("cat $VMLAB_FILES/init.sh".utf8)
        let one = Recipe(name: "fake", script: script, files: ["init.sh": [1], "other.sh": [1]])
        #expect(one.support.keys.sorted() == ["init.sh"])
        #expect(one.key == Recipe(name: "fake", script: script, files: ["init.sh": [1]]).key)
        #expect(one.key != Recipe(name: "fake", script: script, files: ["init.sh": [2]]).key)
        #expect(one.key != Recipe(name: "fake", script: script + [10], files: ["init.sh": [1]]).key)
        let files = ["init.sh": Array("run other.sh".utf8), "other.sh": [1]]
        let nested = Recipe(name: "fake", script: script, files: files)
        #expect(nested.support.keys.sorted() == ["init.sh", "other.sh"])
    }

    @Test("an image with a missing or shortened file is built again")
    func damage() async throws {
        try await withCache { cache in
            let store = cache.store(Self.recipe("echo built >> $VMLAB_LOG; echo kernel > $VMLAB_OUT/kernel", cache))
            let kernel = try #require(try await store.image(named: "fake") { _, _ in }.kernel)
            try Data("ker".utf8).write(to: URL(fileURLWithPath: kernel))
            #expect(!store.list()[0].isBuilt)
            _ = try await store.image(named: "fake") { _, _ in }
            #expect(try String(contentsOfFile: kernel, encoding: .utf8) == "kernel\n")
            try FileManager.default.removeItem(atPath: kernel)
            _ = try await store.image(named: "fake") { _, _ in }
            #expect(cache.log == "built\nbuilt\nbuilt\n")
            #expect(store.list()[0].isBuilt)
        }
    }

    @Test("a failing script says its last words and leaves nothing")
    func failure() async throws {
        try await withCache { cache in
            let store = cache.store(
                Self.recipe("echo kernel > $VMLAB_OUT/kernel; echo no such thing >&2; exit 3", cache))
            let problem = try #require(
                await #expect(throws: Diagnostic.self) { try await store.image(named: "fake") { _, _ in } })
            #expect(problem.category == .image)
            #expect(problem.cause == "bash: exit status 3: no such thing")
            #expect(problem.notes == ["no such thing"])
            #expect(cache.names("build").isEmpty && cache.names("images").isEmpty)
            #expect(!store.list()[0].isBuilt)
        }
    }

    @Test("a full disk is told as such")
    func fullDisk() async throws {
        try await withCache { cache in
            let store = cache.store(Self.recipe("echo 'write error: No space left on device' >&2; exit 1", cache))
            let problem = try #require(
                await #expect(throws: Diagnostic.self) { try await store.image(named: "fake") { _, _ in } })
            #expect(problem.message.hasPrefix("no space is left on the disk"))
            #expect(problem.remedy?.contains("XDG_CACHE_HOME") == true)
        }
    }

    @Test("a recipe that makes no kernel is an error")
    func noKernel() async throws {
        try await withCache { cache in
            let store = cache.store(Self.recipe("true", cache))
            await #expect(throws: Diagnostic.self) { try await store.image(named: "fake") { _, _ in } }
            #expect(cache.names("images").isEmpty)
        }
    }

    @Test("all missing programs are named in one error, with their packages")
    func missingTools() async throws {
        try await withCache { cache in
            let script = "# tools: nosuchtool1=pkg-one nosuchtool2=pkg-two\ntrue\n"
            let store = cache.store(Recipe(name: "fake", script: Array(script.utf8)))
            let problem = try #require(
                await #expect(throws: Diagnostic.self) { try await store.image(named: "fake") { _, _ in } })
            #expect(problem.message.contains("nosuchtool1, nosuchtool2"))
            #expect(problem.remedy?.contains("pkg-one pkg-two") == true)
        }
    }

    @Test("a second builder waits for the first, says for whom, and uses its image")
    func lock() async throws {
        try await withCache { cache in
            let store = cache.store(
                Self.recipe("echo built >> $VMLAB_LOG; sleep 0.5; echo kernel > $VMLAB_OUT/kernel", cache))
            let first = Task { try await store.image(named: "fake") { _, _ in } }
            try await cache.waitForLog("built\n")
            let steps = Steps()
            let second = try await store.image(named: "fake", progress: steps.receive)
            #expect(try await first.value == second)
            #expect(steps.received == ["waiting for process \(getpid()), which is building it"])
            #expect(cache.log == "built\n")
        }
    }

    @Test("a cancelled wait ends at once; the lock is free again when its owner goes")
    func cancelledWait() async throws {
        try await withCache { cache in
            let path = "\(cache.directory)/lock"
            let held = try await FileLock.acquire(path)
            let waiting = Task { try await FileLock.acquire(path).release() }
            waiting.cancel()
            await #expect(throws: CancellationError.self) { try await waiting.value }
            held.release()
            try await FileLock.acquire(path).release()
        }
    }

    @Test("a cancelled build stops its script and leaves nothing; what a killed one left goes with the next")
    func cancellation() async throws {
        try await withCache { cache in
            let store = cache.store(Self.recipe("echo built >> $VMLAB_LOG; sleep 60", cache))
            let build = Task { try await store.image(named: "fake") { _, _ in } }
            try await cache.waitForLog("built\n")
            let start = ContinuousClock.now
            build.cancel()
            await #expect(throws: CancellationError.self) { try await build.value }
            #expect(ContinuousClock.now - start < .seconds(50))
            #expect(cache.names("build").isEmpty)

            let leftover = "\(cache.directory)/cache/build/fake-1/out"
            try FileManager.default.createDirectory(atPath: leftover, withIntermediateDirectories: true)
            let next = cache.store(Self.recipe("echo kernel > $VMLAB_OUT/kernel", cache))
            _ = try await next.image(named: "fake") { _, _ in }
            #expect(cache.names("build").isEmpty)
        }
    }

    @Test("S9: an image that a lab has looked up is neither removed nor pruned, nor is a declared one's base")
    func inUse() async throws {
        try await withCache { cache in
            let recipe = Self.recipe("echo kernel > $VMLAB_OUT/kernel", cache)
            let store = cache.store(recipe)
            var image: BootableImage? = try await store.image(named: "fake") { _, _ in }
            let declared = ImageDeclaration(name: "mine", from: "fake", initrd: try #require(image?.kernel))
            #expect(try #require(image).hold == Hold(), "it makes no difference between images")
            #expect(try await store.remove("fake") == CacheCleaning(imagesInUse: ["fake"]))
            let newer = cache.store(Self.recipe("echo newer > $VMLAB_OUT/kernel", cache))
            #expect(try await newer.prune().freed == 0)
            #expect(store.list()[0].isBuilt)
            // Another's hold goes with it; that of a declared image is its base's.
            var own: BootableImage? = try DeclaredImage(declared, base: CatalogImage(recipe).base).bootable(on: image)
            image = nil
            #expect(try await store.remove("fake") == CacheCleaning(imagesInUse: ["fake"]))
            #expect(own?.name == "mine")
            own = nil
            #expect(try await store.remove("fake").freed > 0)
            #expect(!store.list()[0].isBuilt)
        }
    }

    @Test("S9: an image that a thorough look finds damaged is not believed right: it is built again, which is said")
    func verifiedDamage() async throws {
        try await withCache { cache in
            let store = cache.store(Self.recipe("echo kernel > $VMLAB_OUT/kernel", cache))
            let kernel = try #require(try await store.image(named: "fake") { _, _ in }.kernel)
            func verify() async throws -> [String?] {
                var found: [String?] = []
                try await store.verify("fake") { found.append($0.damage) }
                return found
            }
            #expect(try await verify() == [nil])
            let note = try #require(cache.names("checked").first)
            try Data("kernal\n".utf8).write(to: URL(fileURLWithPath: kernel))
            // As when the disk itself turns a byte bad: the note says what the file looks like now.
            CheckedFiles(cacheDirectory: store.directory, name: note).note(CheckedFiles.stamps(of: [kernel]))
            _ = try await store.image(named: "fake") { _, _ in Issue.record("built again") }
            #expect(try await verify() == ["the contents of kernel have changed"])
            let steps = Steps()
            _ = try await store.image(named: "fake", progress: steps.receive)
            #expect(steps.received.first == "it is damaged (the contents of kernel have changed) and is built again")
            #expect(SmallFile.text(kernel) == "kernel\n")
            #expect(try await verify() == [nil])
        }
    }

    @Test("S22: one byte of an image that changed unseen is found before use, and the image is built again")
    func changedUnseen() async throws {
        try await withCache { cache in
            let store = cache.store(Self.recipe("echo built >> $VMLAB_LOG; echo kernel > $VMLAB_OUT/kernel", cache))
            let kernel = try #require(try await store.image(named: "fake") { _, _ in }.kernel)
            var status = stat()
            #expect(stat(kernel, &status) == 0)
            let file = try OwnedDescriptor.open(kernel, O_WRONLY)
            #expect(
                pwrite(file.number, "K", 1, 0) == 1 && futimens(file.number, [status.st_atim, status.st_mtim]) == 0)
            let steps = Steps()
            let again = try await store.image(named: "fake", progress: steps.receive)
            #expect(steps.received.first?.contains("the contents of kernel have changed") == true)
            #expect(SmallFile.text(try #require(again.kernel)) == "kernel\n" && cache.log == "built\nbuilt\n")
        }
    }

    @Test("remove takes every version, prune takes what the present recipes do not need")
    func removal() async throws {
        try await withCache { cache in
            let old = cache.store(Self.recipe("head -c 100000 /dev/zero > $VMLAB_OUT/kernel", cache))
            let new = cache.store(Self.recipe("echo kernel > $VMLAB_OUT/kernel", cache))
            _ = try await old.image(named: "fake") { _, _ in }
            _ = try await new.image(named: "fake") { _, _ in }
            #expect(cache.names("images").count == 2)
            try Data(count: 5000).write(to: URL(fileURLWithPath: "\(cache.directory)/cache/debs/x.deb"))
            #expect(try await new.prune().freed >= 105_000)
            #expect(cache.names("images").count == 1 && cache.names("debs").isEmpty)
            #expect(new.list()[0].isBuilt && !old.list()[0].isBuilt)
            #expect(try new.path(of: "fake").hasSuffix("/images/\(cache.names("images")[0])"))
            #expect(throws: Diagnostic.self) { try old.path(of: "fake") }
            #expect(throws: Diagnostic.self) { try new.path(of: "nosuch") }
            #expect(try await new.prune().freed == 0)
            try await new.remove("fake")
            #expect(cache.names("images").isEmpty)
            await #expect(throws: Diagnostic.self) { try await new.remove("nosuch") }
        }
    }

    /// A recipe with a header; `$VMLAB_LOG` is the cache's log.
    private static func recipe(_ commands: String, _ cache: TemporaryCache) -> Recipe {
        let script = """
            #!/bin/bash
            # A recipe: with a colon in its prose.
            # tools: sleep=coreutils
            # cmdline: console=ttyS0 a=b:c
            # memory: 320MiB
            # minimum-memory: 96MiB
            VMLAB_LOG='\(cache.directory)/log'
            echo "step: running"
            \(commands)
            """
        return Recipe(name: "fake", script: Array(script.utf8))
    }
}

/// What a build said.
final class Steps: Sendable {
    private let steps = Mutex<[String]>([])
    var receive: ImageProgress { { step, _ in self.steps.withLock { $0.append(step) } } }
    var received: [String] { steps.withLock { $0 } }
}

/// A cache in a folder of its own.
struct TemporaryCache: Sendable {
    let directory: String

    func store(_ image: CatalogImage) -> ImageStore {
        ImageStore(cacheDirectory: "\(directory)/cache", catalog: ImageCatalog([image]))
    }

    func store(_ recipe: Recipe) -> ImageStore {
        ImageStore(cacheDirectory: "\(directory)/cache", catalog: ImageCatalog([CatalogImage(recipe)]))
    }

    var log: String { (try? String(contentsOfFile: "\(directory)/log", encoding: .utf8)) ?? "" }

    func names(_ folder: String) -> [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: "\(directory)/cache/\(folder)")) ?? []
    }

    /// Waits until a script has said so much, at most a minute.
    func waitForLog(_ text: String) async throws {
        let deadline = ContinuousClock.now + .seconds(60)
        while log != text {
            try #require(ContinuousClock.now < deadline, "the script did not start")
            try await Task.sleep(for: .milliseconds(5))
        }
    }
}

/// Runs a test on a cache that is gone afterwards.
func withCache(_ body: (TemporaryCache) async throws -> Void) async throws {
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent("vmlab-images-\(UUID())").path
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: directory) }
    try await body(TemporaryCache(directory: directory))
}
