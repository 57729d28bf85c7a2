import Foundation
import HostSystem
import Testing

@testable import LabImages

@Suite("The debian image", .requiresDebianPackages)
struct DebianImageTests {
    @Test("built twice from the same packages it is the same to the byte", .timeLimit(.minutes(5)))
    func reproducible() async throws {
        try await withCache { cache in
            let recipe = try #require(ImageCatalog.standard["debian"])
            let store = cache.store(recipe)
            let first = try await store.image(named: "debian") { _, _ in }
            try await store.remove("debian")
            let steps = Steps()
            let second = try await store.image(named: "debian", progress: steps.receive)
            #expect(first.id == second.id)
            #expect(!steps.received.contains { $0.hasPrefix("downloading") })
            #expect(store.list()[0].kernel?.contains("-cloud-amd64") == true)
            let kernel = try SmallFile.bytes(try #require(second.kernel), limit: 4)
            #expect(kernel == [0x7f, 0x45, 0x4c, 0x46])
        }
    }
}

extension Trait where Self == ConditionTrait {
    /// The test builds from Debian's packages: apt's lists must be there, and the archive or downloads of before.
    static var requiresDebianPackages: Self {
        .enabled("needs a Debian host with apt's lists, cpio and lz4") {
            guard Tool.find("apt-get") != nil, Tool.find("cpio") != nil, Tool.find("lz4") != nil else { return false }
            return try await Tool.run("apt-cache", ["show", "linux-image-cloud-amd64"]).status.isSuccess
        }
    }
}
