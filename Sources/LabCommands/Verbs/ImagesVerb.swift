import ArgumentParser
import Diagnostics
import HostSystem
import LabImages
import LabSpec

struct ImagesVerb: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "images", abstract: "List, build and remove the catalog's images.",
        discussion: """
            Images are built from Debian's packages, without root, the first time a lab names them, and kept in the cache.

              vmlab images build debian wine
              vmlab images prune
            """,
        subcommands: [List.self, Build.self, Remove.self, Prune.self], defaultSubcommand: List.self)

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List the catalog and what is built (the default).")

        func run() async throws {
            let entries = ImageStore().list()
            Report.table(
                ["IMAGE", "OS", "STATE", "SIZE", "KERNEL"],
                entries.map {
                    [
                        $0.name, $0.os.rawValue, $0.isBuilt ? "built" : "not built",
                        $0.size.map { ByteCount($0).description } ?? "-", $0.kernel ?? "-",
                    ]
                })
        }
    }

    struct Build: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Build images now; the whole catalog by default.")

        @Argument(help: "Names from the catalog.") var names: [String] = []

        func run() async throws {
            let store = ImageStore()
            for name in names.isEmpty ? ImageCatalog.names : names {
                let image = try await store.image(named: name) { step, _ in Report.line("\(name): \(step)") }
                Report.line("\(name): ready (\(image.id.prefix(12)))")
            }
        }
    }

    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "rm", abstract: "Remove built images; labs build them again when they need them.")

        @Argument(help: "Names from the catalog.") var names: [String]

        func run() async throws {
            let store = ImageStore()
            for name in names { try await store.remove(name) }
        }
    }

    struct Prune: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Remove what no image uses: old builds, broken ones, downloads, unpacked kernels.")

        func run() async throws {
            let freed = try await ImageStore().prune()
            Report.line("freed \(ByteCount(freed))")
        }
    }
}
