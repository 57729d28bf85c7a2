import Diagnostics
import Foundation
import Glibc
import GuestControl
import HostSystem
import LabSpec
import Quantities
import Synchronization
import Testing

@testable import LabImages

@Suite("Golden store", .timeLimit(.minutes(2)))
struct GoldenStoreTests {
    private static let key = GoldenKey(
        image: "debian", imageID: "abc",
        facts: [("memory", "128MiB"), ("cpus", "1"), ("host", "a long fingerprint of it")])

    /// A machine's files: a memory that is mostly holes, a state, a disk.
    @Sendable private static func save(_ folder: String) throws -> SavedMachine {
        try FileTree.makeSparseFile("\(folder)/memory", size: 64 << 20)
        try patch("\(folder)/memory", at: 5 << 20, [UInt8](repeating: 7, count: 300_000))
        try Data("state".utf8).write(to: URL(fileURLWithPath: "\(folder)/state"))
        try Data(count: 100_000).write(to: URL(fileURLWithPath: "\(folder)/disk0"))
        return SavedMachine(
            state: "\(folder)/state", memory: "\(folder)/memory",
            disks: [0: SavedMachine.Disk(path: "\(folder)/disk0", format: .raw)])
    }

    /// Writes into a file, also into one that nobody may write to, and has it look as if it was not written to.
    private static func patch(_ path: String, at offset: Int, _ bytes: [UInt8], secretly: Bool = false) throws {
        var status = stat()
        #expect(stat(path, &status) == 0)
        chmod(path, 0o600)
        let file = try OwnedDescriptor.open(path, O_WRONLY)
        #expect(pwrite(file.number, bytes, bytes.count, off_t(offset)) == bytes.count)
        if secretly { #expect(futimens(file.number, [status.st_atim, status.st_mtim]) == 0) }
    }

    private func store(_ cache: TemporaryCache, limit: ByteCount = GoldenStore.usualLimit) -> GoldenStore {
        GoldenStore(cacheDirectory: "\(cache.directory)/cache", limit: limit)
    }

    private func hasNoGolden(_ golden: Golden?) -> Bool { golden == nil }

    @Test("N6: that a golden cannot be made is noted for its key, and forgotten with its image or with all")
    func failures() async throws {
        try await withCache { cache in
            let store = store(cache)
            #expect(store.failure(of: Self.key) == nil)
            store.noteFailure(of: Self.key, "no network card 52:54:00:fe:00:00")
            #expect(store.failure(of: Self.key)?.reason == "no network card 52:54:00:fe:00:00")
            #expect(store.listFailures().map(\.key) == [Self.key] && store.knows(image: "debian"))
            let other = GoldenKey(image: "debian", imageID: "abd", facts: [("memory", "128MiB")])
            #expect(store.failure(of: other) == nil)
            _ = store.remove(image: "wine")
            _ = store.prune()
            #expect(store.failure(of: Self.key) != nil)
            _ = store.remove(image: "debian")
            #expect(store.failure(of: Self.key) == nil && store.listFailures().isEmpty && !store.knows(image: "debian"))

            store.noteFailure(of: Self.key, "no network card")
            let images = ImageStore(cacheDirectory: store.directory)
            try FileTree.makeFolder("\(store.directory)/locks")
            _ = try await images.prune()
            #expect(store.failure(of: Self.key) != nil)
            _ = try await images.prune(allGoldens: true)
            #expect(store.failure(of: Self.key) == nil)

            for year in ["2001", "2999"] {
                store.noteFailure(of: Self.key, "no network card")
                let file = "\(store.directory)/failed/\(Self.key.name)/manifest.json"
                let text = try #require(SmallFile.text(file))
                let moved = text.replacing(/"failed" : "\d{4}/, with: "\"failed\" : \"\(year)")
                #expect(moved != text)
                try Data(moved.utf8).write(to: URL(fileURLWithPath: file))
                #expect(store.failure(of: Self.key) == nil && store.listFailures().isEmpty)
            }
            _ = store.prune()
            #expect(cache.names("failed").isEmpty)
        }
    }

    @Test("a golden is made once; the second time it is there, whole, closed and read-only")
    func makesOnce() async throws {
        try await withCache { cache in
            let store = store(cache)
            #expect(hasNoGolden(try await store.existing(Self.key)))
            let first = try await store.golden(Self.key) { _ in
            } make: { folder in
                #expect(try FileTree.names(in: folder).isEmpty)
                return try Self.save(folder)
            }
            let second = try await store.golden(Self.key) { step in
                Issue.record("\(step)")
            } make: { _ in
                throw Diagnostic(.host, "made again")
            }
            #expect(first.folder == second.folder && first.key == Self.key)
            #expect(first.machine == second.machine && second.machine.memory == "\(second.folder)/memory")
            #expect(second.machine.disks == [0: SavedMachine.Disk(path: "\(second.folder)/disk0", format: .raw)])
            #expect(try FileTree.names(in: first.folder) == ["disk0", "manifest.json", "memory", "state"])
            #expect(SmallFile.text("\(first.folder)/state") == "state")
            for (name, mode) in [("state", mode_t(0o400)), ("disk0", 0o400), ("memory", 0o600)] {
                var status = stat()
                #expect(stat("\(first.folder)/\(name)", &status) == 0 && status.st_mode & 0o777 == mode, "\(name)")
            }
            #expect(cache.names("build").isEmpty)
            let entry = try #require(store.list().first)
            #expect(entry.image == "debian" && entry.imageID == "abc" && entry.isWhole)
            #expect(entry.shape == "memory 128MiB, cpus 1")
            // What it takes on disk, not how long it is.
            #expect((300_000..<2_000_000).contains(entry.size))
        }
    }

    @Test("whatever changes in a key makes another golden")
    func keys() {
        let facts = [("memory", "1"), ("cpus", "2")]
        let keys = [
            GoldenKey(image: "a", imageID: "b", facts: facts), GoldenKey(image: "c", imageID: "b", facts: facts),
            GoldenKey(image: "a", imageID: "c", facts: facts),
            GoldenKey(image: "a", imageID: "b", facts: [("memory", "1"), ("cpus", "3")]),
            GoldenKey(image: "a", imageID: "b", facts: [("memory", "1cpus"), ("", "2")]),
            GoldenKey(image: "a", imageID: "b", facts: Array(facts.reversed())),
            GoldenKey(image: "a", imageID: "b", facts: []),
        ]
        #expect(Set(keys.map(\.hash)).count == keys.count)
        #expect(keys[0].hash == GoldenKey(image: "a", imageID: "b", facts: facts).hash && keys[0].hash.count == 64)
        #expect(!GoldenKey(image: "../x/y", imageID: "", facts: []).name.contains("/"))
    }

    /// What can happen to a golden's files.
    enum Accident: CaseIterable {
        case stateChanged, memoryWritten, memoryShortened, memoryPunched, diskMissing, noManifest, halfManifest,
            otherKey

        func happen(in folder: String) throws {
            let manifest = "\(folder)/manifest.json"
            switch self {
            case .stateChanged: try patch("\(folder)/state", at: 0, [1], secretly: true)
            case .memoryWritten: try patch("\(folder)/memory", at: 5 << 20, [8])
            case .memoryShortened: #expect(truncate("\(folder)/memory", 1 << 20) == 0)
            case .memoryPunched:
                let before = try #require(FileStamp("\(folder)/memory"))
                #expect(truncate("\(folder)/memory", 0) == 0 && truncate("\(folder)/memory", 64 << 20) == 0)
                let time = timespec(
                    tv_sec: Int(before.modified / 1_000_000_000), tv_nsec: Int(before.modified % 1_000_000_000))
                #expect(utimensat(AT_FDCWD, "\(folder)/memory", [time, time], 0) == 0)
            case .diskMissing: try FileTree.remove("\(folder)/disk0")
            case .noManifest: try FileTree.remove(manifest)
            case .halfManifest: #expect(truncate(manifest, 100) == 0)
            case .otherKey:
                let text = try #require(SmallFile.text(manifest)).replacingOccurrences(of: "128MiB", with: "256MiB")
                try Data(text.utf8).write(to: URL(fileURLWithPath: manifest))
            }
        }
    }

    @Test("a damaged golden is made again, which is said and no error", arguments: Accident.allCases)
    func damage(_ accident: Accident) async throws {
        try await withCache { cache in
            let store = store(cache)
            let folder = try await store.golden(Self.key, progress: { _ in }, make: Self.save).folder
            try accident.happen(in: folder)
            #expect(hasNoGolden(try await store.existing(Self.key)))
            let steps = Steps()
            let again = try await store.golden(Self.key, progress: { steps.receive($0, nil) }, make: Self.save)
            #expect(
                steps.received.count == 1 && steps.received[0].hasPrefix("its golden is damaged ("), "\(steps.received)"
            )
            #expect(SmallFile.text("\(again.folder)/state") == "state")
            #expect(!hasNoGolden(try await store.existing(Self.key)))
            #expect(cache.names("build").isEmpty)
        }
    }

    @Test(
        "S22: a byte of a large memory that changed unseen is found before the golden is used, and by a thorough look")
    func verification() async throws {
        try await withCache { cache in
            let store = store(cache)
            let golden = try await store.golden(Self.key, progress: { _ in }, make: Self.save)
            func damage() async throws -> [String?] {
                var found: [String?] = []
                try await store.verify { found.append($1) }
                return found
            }
            #expect(try await damage() == [nil])
            try Self.patch("\(golden.folder)/memory", at: (5 << 20) + 100_000, [8], secretly: true)
            #expect(hasNoGolden(try await store.existing(Self.key)))
            #expect(try await damage() == ["the contents of memory have changed"])
        }
    }

    @Test("S22: what was read once is not read again until it changes")
    func readOnce() async throws {
        try await withCache { cache in
            let store = store(cache)
            let golden = try await store.golden(Self.key, progress: { _ in }, make: Self.save)
            let notes = "\(store.directory)/checked/golden-\(Self.key.name)"
            // A note of what the files are like now is believed.
            let first = try #require(SmallFile.text(notes))
            #expect(first.contains("\(golden.folder)/memory ") && first.contains("\(golden.folder)/disk0 "))
            #expect(chmod("\(golden.folder)/disk0", 0o440) == 0)
            #expect(!hasNoGolden(try await store.existing(Self.key)))
            let second = try #require(SmallFile.text(notes))
            #expect(second != first)
            #expect(!hasNoGolden(try await store.existing(Self.key)))
            #expect(SmallFile.text(notes) == second)
        }
    }

    @Test("S20: a copy with other holes and other times is whole")
    func copied() async throws {
        try await withCache { cache in
            let store = store(cache)
            let golden = try await store.golden(Self.key, progress: { _ in }, make: Self.save)
            for sparse in ["always", "never"] {
                let copy = "\(cache.directory)/\(sparse)"
                try await Tool.run("cp", ["-r", "--sparse=\(sparse)", store.directory, copy]).checked("cp")
                let other = GoldenStore(cacheDirectory: copy)
                #expect(!hasNoGolden(try await other.existing(Self.key)))
                try await other.verify { #expect($1 == nil) }
                #expect(other.list().map(\.isWhole) == [true])
            }
            #expect(golden.lease.isInPlace)
        }
    }

    @Test("a golden of another form is not taken, and goes when the cache is pruned")
    func olderForm() async throws {
        try await withCache { cache in
            let store = store(cache)
            let folder = try await store.golden(Self.key, progress: { _ in }, make: Self.save).folder
            // As it was when the engine wrote a file of its own beside the manifest.
            let path = "\(folder)/manifest.json"
            var manifest = try #require(
                try JSONSerialization.jsonObject(with: Data(try SmallFile.bytes(path))) as? [String: Any])
            #expect(manifest.removeValue(forKey: "machine") != nil)
            try SmallFile.replace(path, with: Array(try JSONSerialization.data(withJSONObject: manifest)))
            #expect(hasNoGolden(try await store.existing(Self.key)) && store.list().isEmpty)
            #expect(store.prune().freed > 0 && cache.names("goldens").isEmpty)
        }
    }

    @Test("a second builder waits for the first, says for whom, and uses its golden")
    func twoAtOnce() async throws {
        try await withCache { cache in
            let (one, other) = (store(cache), store(cache))
            let (isBuilding, mayEnd) = (Completion<Void>(), Completion<Void>())
            let first = Task {
                try await one.golden(Self.key) { _ in
                } make: { folder in
                    isBuilding.fulfil()
                    _ = try await mayEnd.wait()
                    return try Self.save(folder)
                }
            }
            _ = try await isBuilding.wait()
            // Nobody sees it half made.
            #expect(hasNoGolden(try await other.existing(Self.key)))
            let steps = Steps()
            let second = try await other.golden(Self.key) { step in
                steps.receive(step, nil)
                mayEnd.fulfil()
            } make: { _ in
                throw Diagnostic(.host, "made twice")
            }
            #expect(try await first.value.folder == second.folder)
            #expect(steps.received == ["waiting for process \(getpid()), which is making its golden"])
        }
    }

    @Test("goldens of different shapes are made at the same time")
    func differentShapes() async throws {
        try await withCache { cache in
            let store = store(cache)
            let meeting = (Completion<Void>(), Completion<Void>())
            let other = GoldenKey(image: "debian", imageID: "abc", facts: [("memory", "256MiB")])
            async let one = store.golden(Self.key) { _ in
            } make: { folder in
                meeting.0.fulfil()
                _ = try await meeting.1.wait()
                return try Self.save(folder)
            }
            async let two = store.golden(other) { _ in
            } make: { folder in
                meeting.1.fulfil()
                _ = try await meeting.0.wait()
                return try Self.save(folder)
            }
            let folders = (try await one.folder, try await two.folder)
            #expect(folders.0 != folders.1)
        }
    }

    @Test("when a builder fails, the one that waits builds; nothing of the failed one is left")
    func failure() async throws {
        try await withCache { cache in
            let store = store(cache)
            let (isBuilding, mayEnd) = (Completion<Void>(), Completion<Void>())
            let first = Task {
                try await store.golden(Self.key) { _ in
                } make: { folder in
                    _ = try Self.save(folder)
                    isBuilding.fulfil()
                    _ = try await mayEnd.wait()
                    throw Diagnostic(.guest, "it did not boot", remedy: "look at its console")
                }
            }
            _ = try await isBuilding.wait()
            let second = try await store.golden(Self.key, progress: { _ in mayEnd.fulfil() }, make: Self.save)
            let problem = await #expect(throws: Diagnostic.self) { try await first.value }
            #expect(problem?.message == "it did not boot")
            #expect(SmallFile.text("\(second.folder)/state") == "state")
            #expect(cache.names("build").isEmpty)
        }
    }

    @Test("a cancelled build leaves nothing; a cancelled wait ends at once")
    func cancellation() async throws {
        try await withCache { cache in
            let store = store(cache)
            let isBuilding = Completion<Void>()
            let build = Task {
                try await store.golden(Self.key) { _ in
                } make: { folder in
                    _ = try Self.save(folder)
                    isBuilding.fulfil()
                    _ = try await Completion<Void>().wait()
                    return SavedMachine(state: "")
                }
            }
            _ = try await isBuilding.wait()
            let isWaiting = Completion<Void>()
            let wait = Task {
                try await store.golden(Self.key, progress: { _ in isWaiting.fulfil() }, make: Self.save)
            }
            _ = try await isWaiting.wait()
            wait.cancel()
            await #expect(throws: CancellationError.self) { try await wait.value }
            build.cancel()
            await #expect(throws: CancellationError.self) { try await build.value }
            #expect(cache.names("build").isEmpty && cache.names("goldens").isEmpty)
        }
    }

    @Test("what a killed builder left goes with the next, with prune and with gc")
    func killed() async throws {
        try await withCache { cache in
            let store = store(cache)
            /// As a process would that is killed in the middle: its lock goes, its files stay.
            func leave() throws {
                for name in [
                    "golden-\(Self.key.name)", "golden-\(Self.key.name).removed", "golden-other-0123456789abcdef",
                ] {
                    let folder = "\(cache.directory)/cache/build/\(name)"
                    try FileTree.remove(folder)
                    try FileTree.makeFolder(folder)
                    _ = try Self.save(folder)
                }
                // A build of an image, which is none of ours.
                try FileTree.makeFolder("\(cache.directory)/cache/build/debian-123")
            }
            try leave()
            _ = try await store.golden(Self.key) { _ in
            } make: { folder in
                #expect(try FileTree.names(in: folder).isEmpty)
                return try Self.save(folder)
            }
            #expect(cache.names("build").sorted() == ["debian-123", "golden-other-0123456789abcdef"])
            try leave()
            let removed = store.removeLeftovers()
            #expect(removed.count == 3 && removed.allSatisfy { $0.freed > 0 })
            #expect(cache.names("build") == ["debian-123"])
            try leave()
            #expect(store.prune().freed > 900_000)
            #expect(cache.names("build") == ["debian-123"])
            #expect(cache.names("goldens") == [Self.key.name])
            // Of locks only those stay whose golden is there.
            #expect(cache.names("locks") == ["golden-\(Self.key.name)"])
        }
    }

    @Test("a really killed builder: another process holds the lock until it ends, its leftovers stay until then")
    func killedProcess() async throws {
        try await withCache { cache in
            let store = store(cache)
            for folder in ["locks", "build"] { try FileTree.makeFolder("\(cache.directory)/cache/\(folder)") }
            let scratch = "\(cache.directory)/cache/build/golden-\(Self.key.name)"
            let script =
                "mkdir '\(scratch)' && echo half > '\(scratch)/state' && echo built >> '\(cache.directory)/log' && sleep 600"
            let builder = Task {
                try await Tool.run(
                    "flock", ["\(cache.directory)/cache/locks/golden-\(Self.key.name)", "sh", "-c", script])
            }
            try await cache.waitForLog("built\n")
            #expect(store.removeLeftovers().isEmpty)
            #expect(store.prune(isOutOfDate: { _ in true }) == CacheCleaning())
            #expect(SmallFile.text("\(scratch)/state") == "half\n")
            // It is killed while another waits.
            let golden = try await store.golden(
                Self.key, progress: { _ in builder.cancel() }, make: Self.save)
            await #expect(throws: CancellationError.self) { try await builder.value }
            #expect(SmallFile.text("\(golden.folder)/state") == "state")
            #expect(cache.names("build").isEmpty)
        }
    }

    @Test("a full disk is told as such, with what to do, and nothing is left", arguments: [ENOSPC, EDQUOT])
    func fullDisk(_ errno: Int32) async throws {
        try await withCache { cache in
            let store = store(cache)
            let problem = try #require(
                await #expect(throws: Diagnostic.self) {
                    try await store.golden(Self.key) { _ in
                    } make: { folder in
                        _ = try Self.save(folder)
                        throw SystemCallError("write", errno: errno, "\(folder)/memory")
                    }
                })
            #expect(problem.message.hasPrefix("no space is left on the disk"))
            #expect(problem.remedy?.contains("vmlab images prune --goldens") == true)
            #expect(problem.remedy?.contains("XDG_CACHE_HOME") == true)
            #expect(cache.names("build").isEmpty && cache.names("goldens").isEmpty)
        }
    }

    @Test("a cache that cannot be written to is told as such; its goldens can be used")
    func unwritable() async throws {
        try await withCache { cache in
            // A file where the folder should be: that stops root as well.
            try Data().write(to: URL(fileURLWithPath: "\(cache.directory)/cache"))
            let problem = try #require(
                await #expect(throws: Diagnostic.self) {
                    try await store(cache).golden(Self.key, progress: { _ in }, make: Self.save)
                })
            #expect(problem.message == "cannot use the image cache \(cache.directory)/cache")
            #expect(problem.cause != nil)
            #expect(hasNoGolden(try await store(cache).existing(Self.key)))
            #expect(store(cache).list().isEmpty && store(cache).removeLeftovers().isEmpty)
            #expect(store(cache).prune(isOutOfDate: { _ in true }) == CacheCleaning())
        }
        try await withCache { cache in
            let golden = try await store(cache).golden(Self.key, progress: { _ in }, make: Self.save)
            let folders = [golden.folder, "\(cache.directory)/cache/locks", "\(cache.directory)/cache/build"]
            for folder in folders { chmod(folder, 0o500) }
            defer { for folder in folders { chmod(folder, 0o700) } }
            #expect(!hasNoGolden(try await store(cache).existing(Self.key)))
        }
    }

    @Test("a golden of nothing is an error; what is no file does not count")
    func nothing() async throws {
        try await withCache { cache in
            let store = store(cache)
            await #expect(throws: Diagnostic.self) {
                try await store.golden(Self.key, progress: { _ in }, make: { _ in SavedMachine(state: "") })
            }
            await #expect(throws: Diagnostic.self) {
                try await store.golden(
                    Self.key, progress: { _ in },
                    make: { folder in
                        try FileTree.makeFolder("\(folder)/x")
                        return SavedMachine(state: "\(folder)/x")
                    })
            }
            #expect(cache.names("build").isEmpty && cache.names("goldens").isEmpty)
        }
    }

    @Test("what is in use is neither removed nor pruned, and is said")
    func inUse() async throws {
        try await withCache { cache in
            let store = store(cache)
            var golden: Golden? = try await store.golden(Self.key, progress: { _ in }, make: Self.save)
            let other = self.store(cache)
            #expect(other.remove(image: "debian") == CacheCleaning(inUse: [Self.key.name]))
            #expect(other.prune(isOutOfDate: { _ in true }) == CacheCleaning(inUse: [Self.key.name]))
            #expect(SmallFile.text("\(try #require(golden).folder)/state") == "state")
            golden = nil
            #expect(other.remove(image: "wine") == CacheCleaning())
            #expect(cache.names("goldens").count == 1)
            #expect(other.remove(image: "debian").freed > 300_000)
            #expect(cache.names("goldens").isEmpty && cache.names("build").isEmpty)
        }
    }

    @Test("a golden that did not work is thrown away once, and not the one that was made after it")
    func discarding() async throws {
        try await withCache { cache in
            let store = store(cache)
            let first = try await store.golden(Self.key, progress: { _ in }, make: Self.save)
            let second = try #require(try await store.existing(Self.key))
            // What runs on it keeps its files.
            let memory = try OwnedDescriptor.open("\(first.folder)/memory", O_RDONLY)
            try await store.discard(first)
            #expect(hasNoGolden(try await store.existing(Self.key)))
            var byte: UInt8 = 0
            #expect(pread(memory.number, &byte, 1, 5 << 20) == 1 && byte == 7)
            try await store.discard(second)
            let third = try await store.golden(Self.key, progress: { _ in }, make: Self.save)
            try await store.discard(second)
            #expect(SmallFile.text("\(third.folder)/state") == "state")
            #expect(cache.names("build").isEmpty)
        }
    }

    @Test("prune drops goldens whose image is gone or changed, unused and damaged ones")
    func pruning() async throws {
        try await withCache { cache in
            let store = store(cache)
            func make(_ image: String, _ id: String, unusedFor seconds: Int = 0) async throws {
                let key = GoldenKey(image: image, imageID: id, facts: [])
                let folder = try await store.golden(key, progress: { _ in }, make: Self.save).folder
                let time = timespec(tv_sec: Glibc.time(nil) - seconds, tv_nsec: 0)
                #expect(utimensat(AT_FDCWD, "\(folder)/manifest.json", [time, time], 0) == 0)
            }
            try await make("debian", "now")
            try await make("debian", "before")
            try await make("wine", "gone")
            try await make("own", "new", unusedFor: 6 * 86_400)
            try await make("own", "old", unusedFor: 8 * 86_400)
            #expect(store.list().map(\.image) == ["debian", "debian", "own", "own", "wine"])
            #expect(store.list().filter { $0.image == "own" }.map(\.imageID) == ["new", "old"])
            #expect(store.prune { $0.imageID == "before" || $0.image == "wine" }.freed > 900_000)
            #expect(store.list().map(\.imageID) == ["now", "new"])
            // Its use makes it young again.
            _ = try await store.existing(GoldenKey(image: "own", imageID: "new", facts: []))
            #expect(store.prune(age: .seconds(3600)) == CacheCleaning())
            #expect(truncate("\(store.directory)/goldens/\(store.list()[0].name)/memory", 0) == 0)
            #expect(store.list().map(\.isWhole) == [false, true])
            _ = store.prune()
            #expect(store.list().map(\.imageID) == ["new"])
            #expect(store.prune(isOutOfDate: { _ in true }).freed > 300_000)
            #expect(store.list().isEmpty)
        }
    }

    @Test("when all take too much, the one that was not used for the longest time goes, but none that is in use")
    func bounded() async throws {
        try await withCache { cache in
            // Two fit.
            let store = store(cache, limit: ByteCount(1_000_000))
            func key(_ number: Int) -> GoldenKey { GoldenKey(image: "i", imageID: "\(number)", facts: []) }
            func make(_ number: Int, unusedFor seconds: Int) async throws -> Golden {
                let golden = try await store.golden(key(number), progress: { _ in }, make: Self.save)
                let time = timespec(tv_sec: Glibc.time(nil) - seconds, tv_nsec: 0)
                #expect(utimensat(AT_FDCWD, "\(golden.folder)/manifest.json", [time, time], 0) == 0)
                return golden
            }
            let used = try await make(1, unusedFor: 400)
            _ = try await make(2, unusedFor: 300)
            _ = try await make(3, unusedFor: 200)
            _ = try await make(4, unusedFor: 100)
            #expect(Set(store.list().map(\.imageID)) == ["1", "4"])
            #expect(used.lease.isInPlace)
        }
    }

    @Test("images and goldens go together, and are verified together")
    func withImages() async throws {
        try await withCache { cache in
            let recipe = Recipe(name: "fake", script: Array("echo kernel > $VMLAB_OUT/kernel".utf8))
            let images = cache.store(recipe)
            let id = try await images.image(named: "fake") { _, _ in }.id
            let goldens = store(cache)
            func make(_ image: String, _ id: String) async throws {
                let key = GoldenKey(image: image, imageID: id, facts: [])
                _ = try await goldens.golden(key, progress: { _ in }, make: Self.save)
            }
            try await make("fake", id)
            try await make("fake", "before")
            try await make("own", "x")
            _ = try await images.prune()
            #expect(goldens.list().map(\.imageID) == [id, "x"])
            func verify(_ name: String? = nil) async throws -> [String] {
                var found: [String] = []
                try await images.verify(name) {
                    found.append("\($0.image) \($0.golden != nil) \($0.damage ?? "whole")")
                }
                return found
            }
            #expect(try await verify() == ["fake false whole", "fake true whole", "own true whole"])
            #expect(try await verify("own") == ["own true whole"])
            await #expect(throws: Diagnostic.self) { try await images.verify("nosuch") { _ in } }
            let kernel = "\(cache.directory)/cache/images/fake-\(recipe.key)/kernel"
            try Self.patch(kernel, at: 0, [65], secretly: true)
            #expect(try await verify("fake")[0] == "fake false the contents of kernel have changed")
            #expect(try await images.remove("fake").freed > 300_000)
            #expect(goldens.list().map(\.image) == ["own"])
            try await images.remove("own")
            #expect(goldens.list().isEmpty)
            await #expect(throws: Diagnostic.self) { try await images.remove("own") }
        }
    }
}
