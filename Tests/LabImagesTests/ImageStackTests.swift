import Diagnostics
import HostSystem
import Testing

@testable import LabImages
@testable import LabSpec

/// What a lab's declarations come to: packages join the system while nothing was added to its disk, all else are layers.
@Suite("Image stacks")
struct ImageStackTests {
    private func stack(_ images: String, _ name: String = "a") throws -> ImageStack? {
        let text = "lab: l\nimages:\n\(images)\nguests: {g: {image: \(name)}}\ntasks: [{name: t, run: 'true'}]\n"
        let file = try LabFile.parse(
            SourceFile(path: "lab.yaml", text: text), directory: "/", catalog: Set(ImageCatalog.names))
        return try ImageStack(name, in: try #require(file.labs.first), catalog: .standard)
    }

    @Test("packages, init, size and kernel make one system, which needs no guest")
    func system() throws {
        let found = try stack(
            """
              b: {from: 'debian:13', packages: [gcc, make], init: systemd}
              a: {from: b, packages: gdb, size: 2GiB, kernel: 'debian:11'}
            """)
        let stack = try #require(found)
        #expect(stack.layers.isEmpty)
        let debian = try #require(stack.catalogImage?.debian)
        #expect(debian.release == .trixie && debian.kernel == .bullseye && debian.start == .systemd)
        #expect(debian.packages == ["gcc", "make", "gdb"] && debian.size == 2 << 30)
        let again = try #require(stack.catalogImage)
        #expect(again.kernel?.name == "linux-11" && again.system.name == "debian-13")
    }

    @Test("the order of packages makes no other image; another package does")
    func order() throws {
        func key(_ packages: String) throws -> String? {
            try stack("  a: {from: debian, packages: [\(packages)]}")?.catalogImage?.system.key
        }
        #expect(try key("gcc, make") == key("make, gcc"))
        #expect(try key("gcc, make") != key("gcc"))
    }

    @Test("files and setup are a layer; packages after one are the guest's own apt's to install")
    func layers() throws {
        let found = try stack(
            """
              b: {from: debian, packages: gcc, setup: echo 1}
              c: {from: b, packages: make, memory: 1GiB}
              a: {from: c, cmdline: quiet}
            """)
        let stack = try #require(found)
        #expect(stack.catalogImage?.debian?.packages == ["gcc"])
        #expect(stack.layers.map(\.name) == ["b", "c"])
        #expect(stack.layers.map(\.packages) == [[], ["make"]])
        #expect(stack.layers[0].setup == "echo 1" && stack.layers[1].memory == .gibibytes(1))
        #expect(stack.declared(access: .everything).last?.facts.defaultMemory == .gibibytes(1))
    }

    @Test("files and setup are added to wine's disk; what guests of others write is memory")
    func windows() throws {
        let found = try stack(
            """
              b: {from: wine, setup: 'mkdir C:\\work'}
              a: {from: b, files: {/etc/passwd: 'C:\\tool.exe'}}
            """)
        let stack = try #require(found)
        #expect(stack.catalogImage?.name == "wine" && stack.layers.map(\.name) == ["b", "a"])
        #expect(stack.layers[0].setup == "mkdir C:\\work" && stack.layers[1].files.first?.guest == "C:\\tool.exe")
        #expect(ImageCatalog.standard.images.filter { !$0.hasDisk }.map(\.name) == ["busybox", "probe"])
    }

    @Test("packages are refused with what the image takes instead")
    func otherPrograms() throws {
        for (base, instead) in [("wine", "`files:`, and install them in `setup:`"), ("busybox", "a task's `put:`")] {
            let problem = try #require(
                #expect(throws: Diagnostic.self) { try stack("  a: {from: \(base), packages: gcc}") })
            #expect(
                problem.remedy?.hasSuffix(instead) == true && problem.span?.start.column == 25 + base.utf8.count)
        }
    }

    @Test("an image may have the name of the one in the catalog that it is made from")
    func sameName() throws {
        #expect(
            try stack("  debian: {from: debian, packages: gcc}", "debian")?.catalogImage?.debian?.packages == ["gcc"])
    }

    @Test(
        "what cannot be made is told at its key",
        arguments: [
            ("{from: busybox, packages: gcc}", "packages can be installed in Debian only"),
            ("{from: busybox, setup: echo}", "nothing can be added to an image without a disk"),
            ("{from: probe, init: systemd}", "`init` is of a Debian"),
            ("{from: debian, kernel: busybox}", "the image `busybox` has no kernel for others"),
            ("{from: busybox, kernel: 'debian:13'}", "only a whole Debian takes the kernel"),
        ])
    func refusals(declaration: String, message: String) throws {
        let problem = try #require(#expect(throws: Diagnostic.self) { try stack("  a: \(declaration)") })
        #expect(problem.message.hasPrefix(message) && problem.span?.start.line == 3 && problem.remedy != nil)
    }
}
