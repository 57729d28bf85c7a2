import ArgumentParser
import Diagnostics
import Foundation
import HostSystem
import LabImages
import LabResults
import LabSpec
import Quantities

struct ImagesVerb: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "images", abstract: "List, build and remove the catalog's images and their goldens.",
        discussion: """
            Images are built from Debian packages, without root, when a lab first needs them, and kept in a cache. So are the images \
            that labs declare; `prune` removes those that no lab has used for a month.

            So are goldens: guests of one image and shape, saved when they were ready, from which other guests are cloned. \
            They are made when a lab needs them. When all of them take more than \(GoldenStore.usualLimit), the least recently used \
            go; `prune` removes those that no lab has used for a week. A golden that could not be made is not tried again until its \
            image changes, or `rm` or `prune --goldens` forgets it.

              vmlab images build debian wine
              vmlab images build --file lab.yaml
              vmlab images update debian:13
              vmlab images prune
            """,
        subcommands: [
            List.self, Build.self, Update.self, Export.self, Import.self, Path.self, Verify.self, Remove.self,
            Prune.self,
        ],
        defaultSubcommand: List.self)

    struct List: LoggingCommand {
        static let configuration = CommandConfiguration(abstract: "List images and their goldens (the default).")

        @OptionGroup var log: LogOptions

        func run() async throws {
            let store = GoldenStore()
            let goldens = store.list()
            let failures = store.listFailures()
            let images = ImageStore().list()
            var rows = images.map { image in
                [
                    image.name, image.os.rawValue, image.isBuilt ? "built" : "not built",
                    image.size.map { ByteCount($0).description } ?? "-", image.built.map(ago) ?? "-",
                    ([image.kernel] + [image.packages.map { "\($0) packages" }]).compactMap(\.self).joined(
                        separator: ", "),
                ]
            }
            rows += ImageStore().listLabs().map { image in
                [
                    image.name, "", "a lab's, used \(ago(image.used))", ByteCount(image.size).description,
                    ago(image.built),
                    image.variant,
                ]
            }
            // Goldens of images that labs declare have no other line here.
            let labs = Set(goldens.map(\.image) + failures.map(\.key.image)).subtracting(rows.map { $0[0] })
            rows += labs.sorted().map { [$0, "-", "a lab's own", "-", "-", ""] }
            var shown: Set<String> = []
            let all = rows.flatMap { row in
                guard shown.insert(row[0]).inserted else { return [row] }
                return [row] + goldens.filter { $0.image == row[0] }.map(self.row)
                    + failures.filter { $0.key.image == row[0] }.map(self.row)
            }
            Output.table(["IMAGE", "OS", "STATE", "SIZE", "MADE", "WHAT IT HAS"], all)
        }

        private func row(_ golden: GoldenEntry) -> [String] {
            let state = golden.isWhole ? "used \(ago(golden.lastUsed))" : "damaged, will be made again"
            return ["  golden", "", state, ByteCount(golden.size).description, ago(golden.built), golden.shape]
        }

        private func row(_ failure: GoldenFailure) -> [String] {
            ["  golden", "", "failed \(ago(failure.failed))", "-", "-", "\(failure.key.shape): \(failure.reason)"]
        }

        private func ago(_ date: Date) -> String { Duration.seconds(Date().timeIntervalSince(date)).roughly + " ago" }
    }

    struct Build: LoggingCommand {
        static let configuration = CommandConfiguration(
            abstract: "Build images: of the catalog by name, or those of a lab file.",
            discussion:
                "Without names and files it builds what labs usually begin with: \(usual.joined(separator: ", ")).")

        /// One for each kind of guest.
        static let usual = ["debian", "busybox", "wine", "probe"]

        @Argument(help: "Names from the catalog; with --file, those of the lab's images that are wanted.") var names:
            [String] = []
        @Option(help: "Build the images of this lab file.") var file: String?
        @Flag(name: .customLong("no-cache"), help: "With --file: run every `setup:` anew.") var isFresh = false
        @OptionGroup var host: HostOptions
        @OptionGroup var grants: GrantOptions
        @OptionGroup var log: LogOptions

        func run() async throws {
            if let file { return try await build(labs: file) }
            if isFresh { throw ValidationError("--no-cache is of images in a lab file: name it with --file") }
            let store = ImageStore()
            for name in names.isEmpty ? Self.usual : names {
                report(try await store.image(named: name) { step, _ in Output.line("\(name): \(step)") }, name)
            }
        }

        /// Each image once, though several cells of a matrix name it.
        private func build(labs file: String) async throws {
            let planner = Planner(host: host, access: grants.access)
            let supply = ImageSupply(setup: SetupRunner(planner: planner))
            let loaded = try LabFile.load(path: file, catalog: Set(ImageCatalog.names), access: grants.access)
            let known = Set(loaded.labs.flatMap { $0.images.keys })
            for name in names where !known.contains(name) {
                throw ValidationError("\(file) has no image \(name); it has \(known.sorted().joined(separator: ", "))")
            }
            var built: Set<String> = []
            for lab in loaded.labs {
                for name in names.isEmpty ? lab.images.keys.sorted() : names {
                    let image = try await supply.image(name, of: lab, isFresh: isFresh) { image, step, _ in
                        Output.line("\(image): \(step)")
                    }
                    if built.insert(image.id).inserted { report(image, name) }
                }
            }
        }

        private func report(_ image: BootableImage, _ name: String) {
            Output.line("\(name): ready (\(image.id.prefix(12)))")
        }
    }

    struct Update: LoggingCommand {
        static let configuration = CommandConfiguration(
            abstract: "Build images again whose Debian packages have newer versions.",
            discussion: "Without names: all images of the catalog that are built.")

        @Argument(help: "Names from the catalog.") var names: [String] = []
        @OptionGroup var log: LogOptions

        func run() async throws {
            let store = ImageStore()
            let built = store.list().filter(\.isBuilt).map(\.name)
            for name in names.isEmpty ? built : names {
                let isChanged = try await store.update(name) { step, _ in Output.line("\(name): \(step)") }
                Output.line("\(name): \(isChanged ? "updated" : "up to date")")
            }
        }
    }

    struct Export: LoggingCommand {
        static let configuration = CommandConfiguration(
            abstract: "Write an image, with all that it is made from, to a file for another host or a CI cache.",
            discussion: "It is made first where it is not there. Goldens stay: each host makes its own.")

        @Argument(help: "A name from the catalog, or with --file of the lab's images.") var name: String
        @Argument(help: "The file to write, such as web.tar.zst.") var output: String
        @Option(help: "The lab file that declares the image.") var file: String?
        @OptionGroup var host: HostOptions
        @OptionGroup var grants: GrantOptions
        @OptionGroup var log: LogOptions

        func run() async throws {
            let supply = ImageSupply(setup: SetupRunner(planner: Planner(host: host, access: grants.access)))
            let labs = try file.map {
                try LabFile.load(path: $0, catalog: Set(ImageCatalog.names), access: grants.access).labs
            }
            let lab = labs?.first { $0.images[name] != nil } ?? Lab("export", groups: [], tasks: [])
            if let file, lab.images[name] == nil { throw ValidationError("\(file) has no image \(name)") }
            try await supply.export(name, of: lab, to: output) { image, step, _ in Output.line("\(image): \(step)") }
            Output.line("\(name): written to \(output)")
        }
    }

    struct Import: LoggingCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take images from a file that `export` wrote, after every byte is verified.",
            discussion:
                "A lab that asks for the same image finds it there. Take files only from whom you trust: guests will boot them."
        )

        @Argument(help: "The file.") var file: String
        @OptionGroup var log: LogOptions

        func run() async throws {
            let taken = try await ImageStore().take(from: file)
            for name in taken { Output.line("taken: \(name)") }
            if taken.isEmpty { Output.line("nothing new: all its images are there already") }
        }
    }

    struct Path: LoggingCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print the folder of a built image, which has its kernel and other files.",
            discussion:
                "This is the build that labs use; builds of other recipe versions may be beside it. Fails if the image is not built."
        )

        @Argument(help: "A name from the catalog.") var name: String
        @Flag(help: "The folder with its kernel and the kernel's modules, which images of one release share.")
        var kernel = false
        @OptionGroup var log: LogOptions

        func run() async throws { Output.line(try ImageStore().path(of: name, kernel: kernel)) }
    }

    struct Verify: LoggingCommand {
        static let configuration = CommandConfiguration(
            abstract: "Verify the checksums of images and goldens; exits with 3 if anything is damaged.")

        @Argument(help: "Names of images; all by default.") var names: [String] = []
        @OptionGroup var log: LogOptions

        func run() async throws {
            let store = ImageStore()
            var isDamaged = false
            for name in names.isEmpty ? [nil] : names.map(Optional.some) {
                try await store.verify(name) { finding in
                    let what = finding.golden.map { "\($0.image), golden (\($0.shape))" } ?? finding.image
                    guard let damage = finding.damage else { return Output.line("\(what): whole") }
                    isDamaged = true
                    Output.line("\(what): damaged: \(damage); it is made again when a lab next needs it")
                }
            }
            if isDamaged { throw ExitStatus.infrastructure }
        }
    }

    struct Remove: LoggingCommand {
        static let configuration = CommandConfiguration(
            commandName: "rm",
            abstract: "Remove images and their goldens; labs make them again when they need them.",
            discussion: """
                What a running lab uses stays, and the exit status is 3. Goldens that could not be made will be tried again.
                """)

        @Argument(help: "Names from the catalog, or of labs' own images.") var names: [String]
        @OptionGroup var log: LogOptions

        func run() async throws {
            let store = ImageStore()
            var cleaning = CacheCleaning()
            for name in names { cleaning += try await store.remove(name) }
            cleaning.sayWhatIsInUse()
            if !cleaning.isComplete { throw ExitStatus.infrastructure }
        }
    }

    struct Prune: LoggingCommand {
        static let configuration = CommandConfiguration(
            abstract:
                "Remove what is no longer used: old and broken builds, downloads, unpacked kernels, goldens.",
            discussion: """
                A golden goes when its image is gone or has changed, when no lab has used it for a week, or when it is \
                damaged. What a running lab uses stays.
                """)

        @Flag(help: "Remove all goldens, even those used lately.") var goldens = false
        @OptionGroup var log: LogOptions

        func run() async throws {
            let cleaning = try await ImageStore().prune(allGoldens: goldens)
            cleaning.sayWhatIsInUse()
            Output.line("freed \(ByteCount(cleaning.freed))")
        }
    }
}

extension CacheCleaning {
    /// Whether all has gone that should.
    fileprivate var isComplete: Bool { inUse.isEmpty && imagesInUse.isEmpty }

    fileprivate func sayWhatIsInUse() {
        for image in imagesInUse { Output.line("left alone, in use by a running lab: the image \(image)") }
        for golden in inUse { Output.line("left alone, in use by a running lab: the golden \(golden)") }
    }
}
