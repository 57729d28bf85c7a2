import Diagnostics
import Foundation
import Glibc
import Hashing
import Testing

@testable import LabImages

@Suite("Kernels unpacked on the host", .timeLimit(.minutes(2)))
struct KernelCacheTests {
    typealias File = CompressedKernelFile

    /// A folder with a cache and kernel files.
    private struct Fixture {
        let folder: String
        var cache: KernelCache { KernelCache(cacheDirectory: folder) }
        /// What is kept.
        var kept: [String] {
            ((try? FileManager.default.contentsOfDirectory(atPath: "\(folder)/kernels")) ?? []).sorted()
        }

        func write(_ name: String, _ bytes: [UInt8]) throws -> String {
            try Data(bytes).write(to: URL(fileURLWithPath: "\(folder)/\(name)"))
            return "\(folder)/\(name)"
        }

        /// Has a kept kernel not been used for so many seconds.
        func age(_ name: String, _ seconds: Int) {
            let time = timespec(tv_sec: time(nil) - seconds, tv_nsec: 0)
            #expect(utimensat(AT_FDCWD, "\(folder)/kernels/\(name)", [time, time], 0) == 0)
        }
    }

    private func withFixture(_ body: (Fixture) async throws -> Void) async throws {
        try await withCache { try await body(Fixture(folder: $0.directory)) }
    }

    private func contents(_ outcome: KernelCache.Outcome) throws -> [UInt8] {
        guard case .unpacked(let path) = outcome else {
            Issue.record("\(outcome)")
            return []
        }
        return [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
    }

    @Test("each format is unpacked byte for byte, under the hash of its file", arguments: KernelPayload.Format.allCases)
    func formats(_ format: KernelPayload.Format) async throws {
        try await withFixture { fixture in
            let kernel = File.kernel()
            let file = try File.make(kernel, format)
            let outcome = try await fixture.cache.bootable(try fixture.write("bzImage", file))
            #expect(try contents(outcome) == kernel)
            #expect(fixture.kept == [SHA256.hex(file)])
        }
    }

    @Test("the second time nothing is unpacked, under another name or in another process neither")
    func hit() async throws {
        try await withFixture { fixture in
            let file = try File.make()
            let first = try await fixture.cache.bootable(try fixture.write("bzImage", file))
            let kept = try #require(fixture.kept.first)
            let number = try FileManager.default.attributesOfItem(atPath: "\(fixture.folder)/kernels/\(kept)")
            fixture.age(kept, 7200)
            #expect(try await fixture.cache.bootable(try fixture.write("again", file)) == first)
            let after = try FileManager.default.attributesOfItem(atPath: "\(fixture.folder)/kernels/\(kept)")
            #expect(number[.systemFileNumber] as? Int == after[.systemFileNumber] as? Int)
            // Its use is noted, so that it is not pruned now.
            #expect(fixture.cache.prune() == 0)
        }
    }

    @Test("another kernel at the same path is another kernel, also in the same process")
    func replaced() async throws {
        try await withFixture { fixture in
            let cache = fixture.cache
            _ = try await cache.bootable(try fixture.write("bzImage", try File.make(File.kernel(1))))
            let path = try fixture.write("bzImage", try File.make(File.kernel(2, size: 300_000)))
            #expect(try contents(try await cache.bootable(path)) == File.kernel(2, size: 300_000))
            #expect(fixture.kept.count == 2)
        }
    }

    @Test("many guests and processes that ask at once get one kernel")
    func concurrently() async throws {
        try await withFixture { fixture in
            let path = try fixture.write("bzImage", try File.make(File.kernel(size: 5_000_000)))
            // Each cache stands for a process; lock and folder are what they share.
            let caches = (0..<4).map { _ in fixture.cache }
            let outcomes = try await withThrowingTaskGroup(of: KernelCache.Outcome.self) { group in
                for index in 0..<40 { group.addTask { try await caches[index % 4].bootable(path) } }
                return try await group.reduce(into: Set()) { $0.insert($1) }
            }
            #expect(outcomes.count == 1)
            #expect(try contents(try #require(outcomes.first)).count == 5_000_000)
            #expect(fixture.kept.count == 1)
        }
    }

    @Test("a broken kernel in the cache is made again, and what a killed process left goes")
    func broken() async throws {
        try await withFixture { fixture in
            let path = try fixture.write("bzImage", try File.make())
            _ = try await fixture.cache.bootable(path)
            let kept = try #require(fixture.kept.first)
            for damage in [Array(File.kernel().dropLast()), [UInt8](repeating: 0, count: File.kernel().count)] {
                _ = try fixture.write("kernels/\(kept)", damage)
                _ = try fixture.write("kernels/\(kept).new", [1])
                _ = try fixture.write("kernels/other.new", [1])
                #expect(try contents(try await fixture.cache.bootable(path)) == File.kernel())
                #expect(fixture.kept == [kept])
            }
        }
    }

    @Test("a kernel that was removed while its process goes on is made again")
    func removed() async throws {
        try await withFixture { fixture in
            let (cache, path) = (fixture.cache, try fixture.write("bzImage", try File.make()))
            _ = try await cache.bootable(path)
            try FileManager.default.removeItem(atPath: "\(fixture.folder)/kernels")
            #expect(try contents(try await cache.bootable(path)) == File.kernel())
        }
    }

    @Test("a kernel that lies about its size is damaged", arguments: [1, 64, 199_999, 200_001, 500 << 20])
    func wrongSize(_ size: Int) async throws {
        try await withFixture { fixture in
            let path = try fixture.write("bzImage", try File.make(size: size))
            let problem = try #require(
                await #expect(throws: Diagnostic.self) { try await fixture.cache.bootable(path) })
            // More than it says is stopped at that, and not looked at afterwards.
            let reason = size < 200_000 ? "its lz4 payload does not unpack" : "it unpacks to 200000 bytes instead of"
            #expect(problem.message.contains("is damaged: \(reason)"), "\(problem)")
            #expect(fixture.kept.isEmpty)
        }
    }

    @Test(
        "a payload that does not unpack is damaged, and what its program says is told",
        arguments: KernelPayload.Format.allCases)
    func damaged(_ format: KernelPayload.Format) async throws {
        try await withFixture { fixture in
            var file = try File.make(File.kernel(), format)
            let payload = try KernelPayload(in: file)
            let middle = (payload.bytes.lowerBound + payload.bytes.upperBound) / 2
            for place in middle - 20..<middle + 20 { file[place] = 0xff }
            let path = try fixture.write("bzImage", file)
            let problem = try #require(
                await #expect(throws: Diagnostic.self) { try await fixture.cache.bootable(path) })
            #expect(problem.message.hasPrefix("the kernel \(path) is damaged"), "\(problem)")
            #expect(problem.remedy != nil)
            #expect(fixture.kept.isEmpty)
        }
    }

    @Test("what the host cannot do is left to the guest")
    func asItIs() async throws {
        try await withFixture { fixture in
            func reason(_ outcome: KernelCache.Outcome) -> String {
                if case .asItIs(let reason) = outcome { reason } else { "" }
            }
            let path = try fixture.write("bzImage", try File.make(File.kernel(), .zstd))
            let without = KernelCache(cacheDirectory: fixture.folder, searchPath: "/nonexistent")
            #expect(reason(try await without.bootable(path)).contains("is missing"))
            let blocked = KernelCache(cacheDirectory: path)
            #expect(reason(try await blocked.bootable(path)).hasPrefix("cannot be unpacked into the cache"))
            #expect(reason(try await fixture.cache.bootable("/nonexistent/bzImage")) == "cannot be read")
            #expect(reason(try await fixture.cache.bootable(fixture.folder)) == "cannot be read")
            let vmlinux = try fixture.write("vmlinux", File.kernel())
            #expect(reason(try await fixture.cache.bootable(vmlinux)) == "is not a bzImage")
            let text = try fixture.write("text", try File.make(Array(repeating: 65, count: 9000)))
            #expect(reason(try await fixture.cache.bootable(text)).hasSuffix("not a 64-bit ELF kernel"))
            #expect(fixture.kept.isEmpty)
        }
    }

    @Test("kernels that are no longer used are pruned, and go when there are too many")
    func pruning() async throws {
        try await withFixture { fixture in
            var order: [String] = []
            for seed in 0..<UInt8(KernelCache.capacity + 2) {
                let path = try fixture.write("bzImage", try File.make(File.kernel(seed)))
                guard case .unpacked(let made) = try await fixture.cache.bootable(path) else { continue }
                order.append(String(made.split(separator: "/").last ?? ""))
                // The third was used just now; the others were not, the first the longest time ago.
                if seed != 2 { fixture.age(order[Int(seed)], 90_000 - Int(seed) * 60) }
            }
            #expect(fixture.kept == order[2...].sorted())
            #expect(fixture.cache.prune() > 0)
            #expect(fixture.kept == [order[2]])
        }
    }

    @Test("a task that is cancelled while a kernel is made does not take it from the others")
    func cancelled() async throws {
        try await withFixture { fixture in
            let (cache, path) = (fixture.cache, try fixture.write("bzImage", try File.make()))
            let first = Task { try await cache.bootable(path) }
            first.cancel()
            _ = await first.result
            #expect(try contents(try await cache.bootable(path)) == File.kernel())
        }
    }
}
