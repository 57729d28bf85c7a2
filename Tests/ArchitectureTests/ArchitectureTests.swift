import Foundation
import Testing

/// Modules of the toolchain, which any target may use.
private let toolchain: Set<String> = [
    "Dispatch", "Glibc", "Synchronization", "Foundation", "FoundationEssentials", "RegexBuilder",
]

/// Targets that must start fast and stay small.
private let withoutFoundation: Set<String> = [
    "Diagnostics", "Quantities", "JSON", "QMP", "HostSystem", "Patterns", "Hashing", "YAMLTree", "LuaRuntime",
    "GuestConsole", "KVM", "VirtualHardware", "MicroVM", "MachineMonitor", "vmlab-vmm",
]

/// The layers of the package are the dependencies that Package.swift declares. SwiftPM lets a target import any module that another
/// one has brought along, even one that happens to be built before it; these tests do not.
@Suite("The layers of the package", .serialized, .timeLimit(.minutes(2)))
struct LayerTests {
    @Test("each target imports only what it declares")
    func imports() throws {
        let package = try Package.described()
        #expect(package.targets.count > 30)
        for target in package.targets where target.type != "system" {
            let files = try package.swiftFiles(of: target)
            var allowed = target.dependencies.union(toolchain)
            if target.type == "test" || target.name == "LabTestSupport" { allowed.insert("Testing") }
            for file in files {
                for module in try Self.imports(in: file) {
                    #expect(
                        allowed.contains(module),
                        "\(target.name)/\(file.lastPathComponent) imports \(module), which Package.swift does not declare for it"
                    )
                    if withoutFoundation.contains(target.name) {
                        #expect(
                            !module.hasPrefix("Foundation"),
                            "\(target.name)/\(file.lastPathComponent) imports \(module)")
                    }
                }
            }
        }
        #expect(withoutFoundation.isSubset(of: package.targets.map(\.name)))
    }

    @Test("each target's README names what the target imports")
    func readmes() throws {
        let package = try Package.described()
        for target in package.targets where target.type != "test" {
            let path = package.root.appendingPathComponent("\(target.path)/README.md")
            let text = try String(contentsOf: path, encoding: .utf8)
            let names = target.dependencies.sorted().map { "`\($0)`" }.joined(separator: ", ")
            let line = "Imports: \(names.isEmpty ? "nothing" : names)."
            #expect(
                text.split(separator: "\n").contains { $0 == line }, "\(target.path)/README.md lacks: \(line)")
        }
    }

    @Test("what the documents link to is there")
    func links() throws {
        let root = try Package.described().root
        let files = try #require(FileManager.default.enumerator(at: root, includingPropertiesForKeys: nil))
        for case let file as URL in files {
            if [".build", ".git", "results"].contains(file.lastPathComponent) { files.skipDescendants() }
            guard file.pathExtension == "md" else { continue }
            let text = try String(contentsOf: file, encoding: .utf8)
            for part in text.components(separatedBy: "](").dropFirst() {
                let link = String(part.prefix { $0 != ")" && $0 != "#" })
                guard !link.isEmpty, !link.contains(":"), !link.contains("\n") else { continue }
                let target = file.deletingLastPathComponent().appendingPathComponent(link)
                #expect(FileManager.default.fileExists(atPath: target.path), "\(file.path) links to \(link)")
            }
        }
    }

    @Test("the monitor and what it links use no package but ours")
    func monitor() throws {
        let package = try Package.described()
        var linked: Set = ["vmlab-vmm"]
        while true {
            let targets = package.targets.filter { linked.contains($0.name) }
            let all = targets.reduce(into: linked) { $0.formUnion($1.dependencies) }
            if all == linked { break }
            linked = all
        }
        #expect(linked.contains("VirtualHardware"))
        #expect(linked.isSubset(of: package.targets.map(\.name)), "\(linked)")
    }

    @Test("a type, and a file, has a name that no other has")
    func names() throws {
        let package = try Package.described()
        var types: [String: String] = [:]
        var files: Set<String> = []
        for target in package.targets where target.path.hasPrefix("Sources/") && target.type != "system" {
            for file in try package.swiftFiles(of: target) where !file.path.contains("/Recipes/") {
                let place = "\(target.name)/\(file.lastPathComponent)"
                #expect(files.insert(file.lastPathComponent).inserted, "\(place) is there twice")
                for line in try String(contentsOf: file, encoding: .utf8).split(separator: "\n") {
                    guard let name = Self.sharedType(in: line) else { continue }
                    let other = types.updateValue(place, forKey: name)
                    #expect(other == nil || other == place, "\(name) is in \(other ?? "") and in \(place)")
                }
            }
        }
        #expect(types.count > 400)
    }

    /// The name of the type that a line at a file's top level declares; nil for one of the file's own.
    private static func sharedType(in line: Substring) -> String? {
        let words = line.prefix { $0 != "{" }.split(separator: " ")
        let modifiers: Set<Substring> = ["public", "package", "internal", "final", "indirect"]
        let kinds: Set<Substring> = ["struct", "class", "enum", "actor", "protocol", "typealias"]
        guard line.first != " ", let kind = words.firstIndex(where: { !modifiers.contains($0) && !$0.hasPrefix("@") }),
            kinds.contains(words[kind]), kind + 1 < words.count
        else { return nil }
        return String(words[kind + 1].prefix { $0.isLetter || $0.isNumber || $0 == "_" })
    }

    private static func imports(in file: URL) throws -> [String] {
        try String(contentsOf: file, encoding: .utf8).split(separator: "\n").compactMap { line in
            var words = line.split(separator: " ")
            while let first = words.first,
                first.hasPrefix("@") || ["public", "internal", "package", "private", "fileprivate"].contains(first)
            {
                words.removeFirst()
            }
            guard words.first == "import", words.count >= 2 else { return nil }
            // `import struct Module.Name` and the like.
            let name = words.count == 3 ? words[2] : words[1]
            return name.split(separator: ".").first.map(String.init)
        }
    }
}

/// What Package.swift says, as `swift package dump-package` tells it.
private struct Package {
    struct Target {
        var name: String
        /// `regular`, `executable`, `test` or `system`.
        var type: String
        /// Its folder, from the package's.
        var path: String
        /// Targets and products, by name.
        var dependencies: Set<String>
    }

    let root: URL
    let targets: [Target]

    static func described() throws -> Package {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let scratch = FileManager.default.temporaryDirectory.appendingPathComponent("vmlab-manifest-\(getpid())")
        defer { try? FileManager.default.removeItem(at: scratch) }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [
            // `swift test` has the usual scratch folder locked while the tests run.
            "swift", "package", "--package-path", root.path, "--scratch-path", scratch.path, "dump-package",
        ]
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let text = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0)
        let dump = try #require(try JSONSerialization.jsonObject(with: text) as? [String: Any])
        let targets = try #require(dump["targets"] as? [[String: Any]])
        return Package(root: root, targets: try targets.map(target))
    }

    private static func target(_ dump: [String: Any]) throws -> Target {
        let dependencies = try #require(dump["dependencies"] as? [[String: [Any]]])
        let name = try #require(dump["name"] as? String)
        let type = try #require(dump["type"] as? String)
        return Target(
            name: name, type: type, path: dump["path"] as? String ?? "\(type == "test" ? "Tests" : "Sources")/\(name)",
            dependencies: Set(try dependencies.flatMap(\.values).map { try #require($0.first as? String) }))
    }

    func swiftFiles(of target: Target) throws -> [URL] {
        let folder = root.appendingPathComponent(target.path)
        let all = try #require(FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)).allObjects
        return all.compactMap { $0 as? URL }.filter { $0.pathExtension == "swift" }
    }
}
