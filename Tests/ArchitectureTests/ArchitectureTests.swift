import Foundation
import Testing

/// The layers of the package: what each target may import of ours and of the outside. SwiftPM lets a target import any
/// module its dependencies happen to bring along; this table does not.
private let allowedImports: [String: Set<String>] = [
    "Diagnostics": [],
    "HostSystem": ["CLinux", "Diagnostics"],
    "Patterns": ["CPCRE2", "HostSystem"],
    "YAMLTree": ["CYAML", "Diagnostics"],
    "JSONText": [],
    "LuaRuntime": ["CLua", "CLuaShims", "HostSystem", "Diagnostics"],
    "KVM": ["CKVM", "HostSystem"],
    "VirtualHardware": ["CLinux", "HostSystem"],
    "MicroVM": ["CKVM", "KVM", "VirtualHardware", "HostSystem", "JSONText", "CLinux", "Diagnostics"],
    "vmlab-vmm": ["MicroVM"],
    "GuestConsole": ["Patterns", "Diagnostics"],
    "LabSpec": ["YAMLTree", "Patterns", "HostSystem", "Diagnostics"],
    "LabResults": ["HostSystem", "Diagnostics"],
    "LabEngine": ["LabSpec", "LabResults", "GuestConsole", "Patterns", "HostSystem", "Diagnostics"],
    "LabImages": ["LabSpec", "HostSystem", "Diagnostics"],
    "LabMachines": [
        "LabEngine", "LabSpec", "LabImages", "GuestConsole", "HostSystem", "JSONText", "Diagnostics",
    ],
    "LabScripting": [
        "LabEngine", "LabSpec", "LabResults", "LuaRuntime", "YAMLTree", "Patterns", "GuestConsole", "HostSystem",
        "Diagnostics",
    ],
    "LabCommands": [
        "CLineEditor", "LabScripting", "LabEngine", "LabMachines", "LabImages", "LabResults", "LabSpec", "GuestConsole",
        "HostSystem", "Diagnostics",
        "ArgumentParser",
    ],
    "vmlab": ["LabCommands"],
    "LabTestSupport": ["LabEngine", "LabSpec", "LabResults", "GuestConsole", "HostSystem", "Diagnostics", "Testing"],
]

/// Modules of the toolchain, which any target may use.
private let toolchain: Set<String> = [
    "Dispatch", "Glibc", "Synchronization", "Foundation", "FoundationEssentials", "RegexBuilder",
]

/// Targets that must start fast and stay small.
private let withoutFoundation: Set<String> = [
    "Diagnostics", "HostSystem", "Patterns", "YAMLTree", "JSONText", "LuaRuntime", "GuestConsole", "KVM",
    "VirtualHardware",
    "MicroVM",
    "vmlab-vmm",
]

@Suite("The layers of the package")
struct LayerTests {
    static let sources = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Sources")

    @Test("each target imports only what its layer may", arguments: allowedImports.keys.sorted())
    func imports(of target: String) throws {
        let allowed = try #require(allowedImports[target]).union(toolchain)
        let files = try Self.swiftFiles(of: target)
        #expect(!files.isEmpty, "Sources/\(target) has no Swift files")
        for file in files {
            for module in try Self.imports(in: file) {
                #expect(allowed.contains(module), "\(file.lastPathComponent) imports \(module)")
                if withoutFoundation.contains(target) {
                    #expect(!module.hasPrefix("Foundation"), "\(file.lastPathComponent) imports \(module)")
                }
            }
        }
    }

    @Test("every target with Swift sources is in the table")
    func complete() throws {
        let folders = try FileManager.default.contentsOfDirectory(atPath: Self.sources.path)
        let targets = try folders.filter { try !Self.swiftFiles(of: $0).isEmpty }
        #expect(Set(targets) == Set(allowedImports.keys))
    }

    private static func swiftFiles(of target: String) throws -> [URL] {
        let folder = sources.appendingPathComponent(target)
        let all = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)?.allObjects ?? []
        return all.compactMap { $0 as? URL }.filter { $0.pathExtension == "swift" }
    }

    private static func imports(in file: URL) throws -> [String] {
        try String(contentsOf: file, encoding: .utf8).split(separator: "\n").compactMap { line in
            var words = line.split(separator: " ")
            while let first = words.first, first.hasPrefix("@") || ["public", "internal", "package"].contains(first) {
                words.removeFirst()
            }
            guard words.first == "import", words.count >= 2 else { return nil }
            // `import struct Module.Name` and the like.
            let name = words.count == 3 ? words[2] : words[1]
            return name.split(separator: ".").first.map(String.init)
        }
    }
}
