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
            Images are built from Debian's packages, without root, the first time a lab names them, and kept in the cache.
            So are goldens: guests of one image and shape, saved when they are ready, that others start from as clones. They
            are made when a lab needs them and go when none has needed them for a week, or when all take more than \
            \(GoldenStore.usualLimit). One whose guest fails as it comes up is not tried again for a day.

              vmlab images build debian wine
              vmlab images prune
            """,
        subcommands: [List.self, Build.self, Path.self, Verify.self, Remove.self, Prune.self],
        defaultSubcommand: List.self)

    struct List: LoggingCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the catalog, what is built, and goldens under their image (the default).")

        @OptionGroup var log: LogOptions

        func run() async throws {
            let store = GoldenStore()
            let goldens = store.list()
            let failures = store.listFailures()
            let images = ImageStore().list()
            var rows: [[String]] = []
            for image in images {
                rows.append([
                    image.name, image.os.rawValue, image.isBuilt ? "built" : "not built",
                    image.size.map { ByteCount($0).description } ?? "-", image.kernel ?? "-",
                ])
                rows += goldens.filter { $0.image == image.name }.map(row)
                rows += failures.filter { $0.key.image == image.name }.map(row)
            }
            let known = Set(images.map(\.name))
            // Images that labs declare have no other line here.
            for name in Set(goldens.map(\.image) + failures.map(\.key.image)).subtracting(known).sorted() {
                rows.append([name, "-", "a lab's own", "-", "-"])
                rows += goldens.filter { $0.image == name }.map(row)
                rows += failures.filter { $0.key.image == name }.map(row)
            }
            Report.table(["IMAGE", "OS", "STATE", "SIZE", "KERNEL"], rows)
        }

        private func row(_ golden: GoldenEntry) -> [String] {
            let ages = "made \(ago(golden.built)), used \(ago(golden.lastUsed))"
            let state = golden.isWhole ? ages : "damaged, will be made again"
            return ["  golden", "", state, ByteCount(golden.size).description, golden.shape]
        }

        private func row(_ failure: GoldenFailure) -> [String] {
            ["  golden", "", "failed \(ago(failure.failed))", "-", "\(failure.key.shape): \(failure.reason)"]
        }

        private func ago(_ date: Date) -> String { Duration.seconds(Date().timeIntervalSince(date)).roughly + " ago" }
    }

    struct Build: LoggingCommand {
        static let configuration = CommandConfiguration(abstract: "Build images now; the whole catalog by default.")

        @Argument(help: "Names from the catalog.") var names: [String] = []
        @OptionGroup var log: LogOptions

        func run() async throws {
            let store = ImageStore()
            for name in names.isEmpty ? ImageCatalog.names : names {
                let image = try await store.image(named: name) { step, _ in Report.line("\(name): \(step)") }
                Report.line("\(name): ready (\(image.id.prefix(12)))")
            }
        }
    }

    struct Path: LoggingCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print the folder of the build of an image that labs use, with its kernel and its other files.",
            discussion: "Builds of other recipes may be beside it. When the image is not built, nothing is printed.")

        @Argument(help: "A name from the catalog.") var name: String
        @OptionGroup var log: LogOptions

        func run() async throws { Report.line(try ImageStore().path(of: name)) }
    }

    struct Verify: LoggingCommand {
        static let configuration = CommandConfiguration(
            abstract: "Read every byte of built images and goldens, and say what is damaged; status 3 if anything is.")

        @Argument(help: "Names of images; all by default.") var names: [String] = []
        @OptionGroup var log: LogOptions

        func run() async throws {
            let store = ImageStore()
            var isDamaged = false
            for name in names.isEmpty ? [nil] : names.map(Optional.some) {
                try await store.verify(name) { finding in
                    let what = finding.golden.map { "\($0.image), golden (\($0.shape))" } ?? finding.image
                    guard let damage = finding.damage else { return Report.line("\(what): whole") }
                    isDamaged = true
                    Report.line("\(what): damaged: \(damage); it is made again when a lab next needs it")
                }
            }
            if isDamaged { throw ExitStatus.infrastructure }
        }
    }

    struct Remove: LoggingCommand {
        static let configuration = CommandConfiguration(
            commandName: "rm",
            abstract: "Remove built images and their goldens; labs make them again when they need them.",
            discussion: """
                What a running lab uses stays; the status is 3 then. A golden that failed, for which labs boot their guests, is \
                tried again.
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
                "Remove what no image uses: old builds, broken ones, downloads, unpacked kernels, unused goldens.",
            discussion: """
                A golden goes when its image is gone or has changed, when no lab has used it for a week, or when it is \
                damaged. What a running lab uses stays.
                """)

        @Flag(help: "Remove all goldens, also those that were used lately.") var goldens = false
        @OptionGroup var log: LogOptions

        func run() async throws {
            let cleaning = try await ImageStore().prune(allGoldens: goldens)
            cleaning.sayWhatIsInUse()
            Report.line("freed \(ByteCount(cleaning.freed))")
        }
    }
}

extension CacheCleaning {
    /// Whether all has gone that should.
    fileprivate var isComplete: Bool { inUse.isEmpty && imagesInUse.isEmpty }

    fileprivate func sayWhatIsInUse() {
        for image in imagesInUse { Report.line("left alone, in use by a running lab: the image \(image)") }
        for golden in inUse { Report.line("left alone, in use by a running lab: the golden \(golden)") }
    }
}
