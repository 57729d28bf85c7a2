import Diagnostics
import Foundation
import Testing

@testable import LabImages
@testable import LabSpec

@Suite("Declared images and the catalog")
struct ImageFactsTests {
    @Test("the standard catalog embeds every file of Recipes/, and each is used")
    func recipesAreEmbedded() throws {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../Sources/LabImages/Recipes").standardized.path
        let entries = try FileManager.default.contentsOfDirectory(atPath: folder)
        let names = entries.filter { !$0.hasPrefix(".") && $0 != "README.md" }
        var used: Set<String> = []
        for image in ImageCatalog.standard.images {
            for recipe in image.recipes {
                let script =
                    image.release == nil
                    ? recipe.name : recipe.name.hasPrefix("linux") ? "debian-kernel" : "debian-root"
                used.insert("\(script).sh")
                used.formUnion(recipe.support.keys)
                #expect(!recipe.tools.isEmpty)
            }
            let isLinux = !image.system.packages.isEmpty && image.system.cmdline.contains("console=ttyS0")
            #expect(isLinux != image.system.isFreestanding)
        }
        // What is installed in labs' own disks.
        used.formUnion(["agent.sh", "agent-install.sh"])
        used.formUnion(AgentInstallation.recipe.support.keys)
        #expect(used == Set(names))
        #expect(
            ImageCatalog.names
                == ["debian", "debian:11", "debian:12", "debian:13", "debian:sid", "busybox", "wine", "probe"])
    }

    @Test("an apt line gives package, version, file, size and hash; other text gives nothing")
    func aptLines() throws {
        let line = "'http://x/b.deb' busybox-static_1%3a1.35.0-4+b1_amd64.deb 928188 SHA256:3d3fdbe9"
        let package = try #require(DebianPackage(line: line))
        #expect(package.name == "busybox-static")
        #expect(package.version == "1:1.35.0-4+b1")
        #expect(package.file == "busybox-static_1%3a1.35.0-4+b1_amd64.deb")
        #expect(package.size == 928188 && package.sha256 == "3d3fdbe9")
        for other in ["", "Reading package lists...", line.replacingOccurrences(of: "SHA256", with: "MD5")] {
            #expect(DebianPackage(line: other) == nil)
        }
    }

    @Test("every unusable file of a declaration is named, at its own key")
    func unusableFiles() throws {
        let text = "kernel: /nosuch/vmlinuz\n"
        let span = SourceSpan(
            file: SourceFile(path: "lab.yaml", text: text), start: SourcePosition(line: 1, column: 9),
            end: SourcePosition(line: 1, column: 24))
        let declaration = ImageDeclaration(
            name: "mine", kernel: "/nosuch/vmlinuz", initrd: "/tmp", disk: #filePath, firmware: "/dev/null",
            keySpans: ["kernel": span])
        let problems = DeclaredImage(declaration, base: nil).problems()
        #expect(
            problems.map(\.message) == [
                "the kernel of the image \"mine\" is not there: /nosuch/vmlinuz", "the initrd /tmp is not a file",
                "the firmware /dev/null is not a file",
            ])
        #expect(problems[0].span == span)
        #expect(problems.allSatisfy { $0.category == .specification })
    }

    @Test("a kernel is known by its magic, a qcow2 disk too")
    func magic() async throws {
        try await withCache { cache in
            func file(_ name: String, _ bytes: [UInt8]) throws -> String {
                let path = "\(cache.directory)/\(name)"
                try Data(bytes).write(to: URL(fileURLWithPath: path))
                return path
            }
            let bzImage = try file("bzImage", [UInt8](repeating: 0, count: 0x202) + Array("HdrS....".utf8))
            let elf = try file("vmlinux", [0x7f, 0x45, 0x4c, 0x46, 2])
            let text = try file("text", Array("not a kernel".utf8))
            let header: [UInt8] = [0x51, 0x46, 0x49, 0xfb, 0, 0, 0, 2]
            let qcow2 = try file("disk.img", header + [UInt8](repeating: 0, count: 64))
            let pretender = try file("disk.qcow2", [0])
            func problems(_ declaration: ImageDeclaration) -> [String] {
                DeclaredImage(declaration, base: nil).problems().map(\.message)
            }
            #expect(problems(ImageDeclaration(name: "a", kernel: bzImage)) == [])
            #expect(problems(ImageDeclaration(name: "a", kernel: elf, disk: qcow2)) == [])
            #expect(problems(ImageDeclaration(name: "a", kernel: text)).count == 1)
            #expect(problems(ImageDeclaration(name: "a", disk: pretender)).count == 1)
            #expect(problems(ImageDeclaration(name: "a", firmware: bzImage)) == [])
            #expect(problems(ImageDeclaration(name: "a")).count == 1)

            let image = try DeclaredImage(ImageDeclaration(name: "a", kernel: elf, disk: qcow2), base: nil)
                .bootable(on: nil)
            #expect(image.disks.map(\.format) == [.qcow2])
            #expect(image.disks.allSatisfy { !$0.readOnly })
            #expect(image.console == ConsoleSpec(dialect: .sh, announces: false, ports: 1))
        }
    }

    @Test("`from:` fills what a declaration does not say, and its id follows the files")
    func inheritance() async throws {
        try await withCache { cache in
            let kernel = "\(cache.directory)/vmlinux"
            try Data([0x7f, 0x45, 0x4c, 0x46]).write(to: URL(fileURLWithPath: kernel))
            let recipe = Recipe(
                name: "fake", os: .windows, console: ConsoleSpec(dialect: .cmd),
                script: Array("# memory: 300MiB\n".utf8))
            let fake = CatalogImage(recipe).base
            let base = BootableImage(
                name: "fake", id: "1", os: .windows, kernel: "/k", initrd: "/i",
                cmdline: "words vmlab.port=p vmlab.keys=k", console: recipe.console)
            let own = try DeclaredImage(
                ImageDeclaration(name: "own", from: "fake", kernel: kernel, cmdline: "more"), base: fake
            ).bootable(on: base)
            #expect(own.kernel == kernel && own.initrd == "/i")
            // A kernel of the lab's own may not know virtio ports.
            #expect(own.cmdline == "words more")
            let same = try DeclaredImage(ImageDeclaration(name: "same", from: "fake", cmdline: "more"), base: fake)
                .bootable(on: base)
            #expect(same.cmdline == "words vmlab.port=p vmlab.keys=k more")
            #expect(own.os == .windows && own.console.dialect == .cmd && own.defaultMemory == .mebibytes(300))
            try Data([0x7f, 0x45, 0x4c, 0x46, 1]).write(to: URL(fileURLWithPath: kernel))
            let changed = try DeclaredImage(ImageDeclaration(name: "own", from: "fake", kernel: kernel), base: fake)
                .bootable(on: base)
            #expect(own.id != changed.id)
        }
    }

    @Test("a freestanding image plays Windows when a declaration says so: console and kernel word follow")
    func freestandingWindows() throws {
        let probe = try #require(ImageCatalog.standard["probe"]).base
        let built = BootableImage(name: "probe", id: "1", os: .linux, kernel: "/k", isFreestanding: true)
        let linux = try DeclaredImage(ImageDeclaration(name: "l", from: "probe"), base: probe).bootable(on: built)
        #expect(linux.isFreestanding && linux.os == .linux && linux.cmdline == "" && linux.console == ConsoleSpec())
        let declared = DeclaredImage(
            ImageDeclaration(name: "w", from: "probe", os: .windows, cmdline: "more"), base: probe)
        let windows = try declared.bootable(on: built)
        #expect(windows.cmdline == "vmlab.os=windows more" && windows.console == ConsoleSpec(dialect: .cmd))
        #expect(declared.facts.isFreestanding && declared.facts.os == .windows)
        #expect(declared.facts.defaultMemory == .mebibytes(32))
    }
}
