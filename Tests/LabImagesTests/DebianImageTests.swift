import Diagnostics
import Foundation
import HostSystem
import LabSpec
import Testing

@testable import LabImages

@Suite("Images from Debian's packages", .requiresDebianPackages)
struct DebianImageTests {
    @Test(
        "built twice from the same packages an image is the same to the byte", .timeLimit(.minutes(10)),
        arguments: ["busybox", "debian"])
    func reproducible(name: String) async throws {
        try await withCache { cache in
            let image = try #require(ImageCatalog.standard[name])
            let store = cache.store(image)
            let first = try await store.image(named: name) { _, _ in }
            try await store.remove(name)
            let steps = Steps()
            let second = try await store.image(named: name, progress: steps.receive)
            #expect(first.id == second.id)
            #expect(!steps.received.contains { $0.hasPrefix("downloading") })
            #expect(store.list()[0].kernel?.contains("-cloud-amd64") == true)
            let kernel = try SmallFile.bytes(try #require(second.kernel), limit: 4)
            #expect(kernel == [0x7f, 0x45, 0x4c, 0x46])
            if image.release != nil {
                #expect(second.disks.map(\.serial) == ["vmlab-root", "vmlab-modules"])
                #expect(try #require(store.list()[0].packages) > 60)
            }
        }
    }

    @Test("a package that is not there is named, with the nearest one")
    func unknownPackage() async throws {
        try await withCache { cache in
            var debian = DebianSystem(.usual)
            debian.packages = ["procsp"]
            let problem = try #require(
                await #expect(throws: Diagnostic.self) {
                    try await cache.store(debian.image(named: "mine")).image(named: "mine") { _, _ in }
                })
            #expect(problem.message == "Debian \(DebianRelease.usual.number) has no package `procsp`")
            #expect(problem.remedy?.contains("procps") == true)
            #expect(cache.names("images").isEmpty && cache.names("build").isEmpty)
        }
    }
}

@Suite("Debian's releases")
struct DebianReleaseTests {
    @Test("a host's release is known by its os-release")
    func osRelease() {
        #expect(DebianRelease(osRelease: "ID=debian\nVERSION_CODENAME=trixie\n") == .trixie)
        #expect(DebianRelease(osRelease: "VERSION_CODENAME=\"bookworm\"\nID=\"debian\"\n") == .bookworm)
        for other in ["", "ID=ubuntu\nVERSION_CODENAME=jammy\n", "ID=debian\n", "ID=debian\nVERSION_CODENAME=woody\n"] {
            #expect(DebianRelease(osRelease: other) == nil)
        }
    }

    @Test("sources are the host's mirror for any release, with its security updates where there are any")
    func sources() {
        let targets = """
            bookworm http://mirror.example/debian/
            bookworm-security http://mirror.example/security/
            nodistro https://deb.example.com/node

            """
        let trixie = DebianSources(.trixie, targets: targets).text
        #expect(trixie.contains("URIs: http://mirror.example/debian\nSuites: trixie trixie-updates\n"))
        #expect(trixie.contains("URIs: http://mirror.example/security\nSuites: trixie-security\n"))
        let sid = DebianSources(.sid, targets: "").text
        #expect(sid.contains("URIs: http://deb.debian.org/debian\nSuites: sid\n") && !sid.contains("security"))
    }

    @Test("what apt says of a package that it does not know")
    func unknown() {
        #expect(Apt.unknownPackage(["W: x", "E: Unable to locate package nginxx"]) == "nginxx")
        #expect(Apt.unknownPackage(["E: Package 'awk' has no installation candidate"]) == "awk")
        #expect(Apt.unknownPackage(["E: Unmet dependencies"]) == nil)
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
