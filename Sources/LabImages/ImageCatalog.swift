import Diagnostics
import LabSpec

/// The images that need no declaration, by name.
public struct ImageCatalog: Sendable {
    /// In the order in which they are listed.
    public let recipes: [Recipe]

    /// A catalog of these recipes.
    public init(_ recipes: [Recipe]) {
        self.recipes = recipes
    }

    /// What vmlab knows how to build.
    public static let standard = ImageCatalog([
        Recipe(name: "debian", script: PackageResources.debian_sh, files: supportFiles),
        Recipe(
            name: "wine", os: .windows, console: ConsoleSpec(dialect: .cmd), script: PackageResources.wine_sh,
            files: supportFiles),
        Recipe(name: "probe", script: PackageResources.probe_sh, files: supportFiles),
    ])

    /// Every file in Recipes/ that a recipe may use. Embedded, so that the program needs no files beside it.
    private static let supportFiles: [String: [UInt8]] = [
        "debian-init.sh": PackageResources.debian_init_sh,
        "debian-session.sh": PackageResources.debian_session_sh,
        "debian-udhcpc.sh": PackageResources.debian_udhcpc_sh,
        "wine-init.sh": PackageResources.wine_init_sh,
        "relay.c": PackageResources.relay_c,
        "probe-start.S": PackageResources.probe_start_S,
        "probe-link.ld": PackageResources.probe_link_ld,
        "probe-hardware.h": PackageResources.probe_hardware_h,
        "probe-Text.swift": PackageResources.probe_Text_swift,
        "probe-Shell.swift": PackageResources.probe_Shell_swift,
        "probe-POSIX.swift": PackageResources.probe_POSIX_swift,
        "probe-Cmd.swift": PackageResources.probe_Cmd_swift,
        "probe-Message.swift": PackageResources.probe_Message_swift,
        "probe-Commands.swift": PackageResources.probe_Commands_swift,
        "probe-Storage.swift": PackageResources.probe_Storage_swift,
        "probe-Session.swift": PackageResources.probe_Session_swift,
        "probe-Memory.swift": PackageResources.probe_Memory_swift,
        "probe-Ports.swift": PackageResources.probe_Ports_swift,
        "probe-Virtio.swift": PackageResources.probe_Virtio_swift,
        "probe-Devices.swift": PackageResources.probe_Devices_swift,
        "probe-Machine.swift": PackageResources.probe_Machine_swift,
        "probe-Main.swift": PackageResources.probe_Main_swift,
        "vmlab-kill.sh": PackageResources.vmlab_kill_sh,
        "vmlab-rename.sh": PackageResources.vmlab_rename_sh,
    ]

    /// The names of the standard catalog.
    public static var names: [String] { standard.recipes.map(\.name) }

    /// The recipe of that name; nil when there is none.
    public subscript(name: String) -> Recipe? { recipes.first { $0.name == name } }

    /// What is known, before anything is built, of the images that a lab's guests use, and what is wrong with those it
    /// declares. Looks at the declared files, reads the first bytes of each.
    public static func facts(of lab: Lab) -> (facts: [String: ImageFacts], problems: [Diagnostic]) {
        standard.facts(of: lab)
    }

    /// See the static function of the same name.
    public func facts(of lab: Lab) -> (facts: [String: ImageFacts], problems: [Diagnostic]) {
        var facts: [String: ImageFacts] = [:]
        var problems: [Diagnostic] = []
        for group in lab.groups where facts[group.image] == nil {
            if let declaration = lab.images[group.image] {
                let declared = DeclaredImage(declaration, base: declaration.from.flatMap { self[$0] })
                facts[group.image] = declared.facts
                problems += declared.problems()
            } else if let recipe = self[group.image] {
                facts[group.image] = recipe.facts
            } else {
                problems.append(unknown(group.image, at: group.span))
            }
        }
        return (facts, problems)
    }

    /// That there is no such image.
    func unknown(_ name: String, at span: SourceSpan? = nil) -> Diagnostic {
        Diagnostic(
            .specification, "the catalog has no image \"\(name)\"",
            remedy: "it has \(recipes.map(\.name).joined(separator: ", ")); others are declared under `images:`",
            at: span)
    }
}

extension Recipe {
    /// What a plan needs to know of it.
    var facts: ImageFacts {
        ImageFacts(
            os: os, defaultMemory: memory, minimumMemory: minimumMemory, isFreestanding: isFreestanding)
    }
}
