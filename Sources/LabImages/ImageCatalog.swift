import Diagnostics
import HostSystem
import LabSpec

/// The images that need no declaration.
package struct ImageCatalog: Sendable {
    /// In listing order.
    package let recipes: [Recipe]

    package init(_ recipes: [Recipe]) {
        self.recipes = recipes
    }

    /// The built-in catalog.
    package static let standard = ImageCatalog([
        Recipe(name: "debian", script: PackageResources.debian_sh, files: supportFiles),
        Recipe(
            name: "wine", os: .windows, console: ConsoleSpec(dialect: .cmd), script: PackageResources.wine_sh,
            files: supportFiles),
        Recipe(name: "probe", script: PackageResources.probe_sh, files: supportFiles),
    ])

    /// The support files for recipes in Recipes/, embedded so that the program needs no files at run time.
    private static let supportFiles: [String: [UInt8]] = [
        "debian-init.sh": PackageResources.debian_init_sh,
        "debian-session.sh": PackageResources.debian_session_sh,
        "debian-udhcpc.sh": PackageResources.debian_udhcpc_sh,
        "wine-init.sh": PackageResources.wine_init_sh,
        "relay.c": PackageResources.relay_c,
        "vmlab-files.c": PackageResources.vmlab_files_c,
        "vmlab-identity.c": PackageResources.vmlab_identity_c,
        "vmlab-kill.sh": PackageResources.vmlab_kill_sh,
        "vmlab-rename.c": PackageResources.vmlab_rename_c,
        "vmlab-rename.sh": PackageResources.vmlab_rename_sh,
        "probe-start.S": PackageResources.probe_start_S,
        "probe-link.ld": PackageResources.probe_link_ld,
        "probe-hardware.h": PackageResources.probe_hardware_h,
        "probe-text.swift": PackageResources.probe_text_swift,
        "probe-shell.swift": PackageResources.probe_shell_swift,
        "probe-posix.swift": PackageResources.probe_posix_swift,
        "probe-cmd.swift": PackageResources.probe_cmd_swift,
        "probe-commands.swift": PackageResources.probe_commands_swift,
        "probe-storage.swift": PackageResources.probe_storage_swift,
        "probe-session.swift": PackageResources.probe_session_swift,
        "probe-message.swift": PackageResources.probe_message_swift,
        "probe-memory.swift": PackageResources.probe_memory_swift,
        "probe-ports.swift": PackageResources.probe_ports_swift,
        "probe-virtio.swift": PackageResources.probe_virtio_swift,
        "probe-devices.swift": PackageResources.probe_devices_swift,
        "probe-machine.swift": PackageResources.probe_machine_swift,
        "probe-main.swift": PackageResources.probe_main_swift,
    ]

    package static var names: [String] { standard.recipes.map(\.name) }

    package subscript(name: String) -> Recipe? { recipes.first { $0.name == name } }

    /// The facts known before the build of the images that a lab uses, and problems of declared images and of the groups'
    /// disks. Reads a few bytes of each file.
    package static func facts(of lab: Lab) -> (facts: [String: ImageFacts], problems: [Diagnostic]) {
        standard.facts(of: lab)
    }

    package func facts(of lab: Lab) -> (facts: [String: ImageFacts], problems: [Diagnostic]) {
        var facts: [String: ImageFacts] = [:]
        var problems: [Diagnostic] = []
        for group in lab.groups where facts[group.image] == nil {
            if let declaration = lab.images[group.image] {
                let declared = DeclaredImage(
                    declaration, base: declaration.from.flatMap { self[$0] }, access: lab.access)
                facts[group.image] = declared.facts
                problems += declared.problems()
            } else if let recipe = self[group.image] {
                facts[group.image] = recipe.facts
            } else {
                problems.append(unknown(group.image, at: group.span))
            }
        }
        return (facts, problems + lab.groups.flatMap { unattachable($0, lab.access) })
    }

    /// Problems of a group's disk files.
    private func unattachable(_ group: GuestGroup, _ access: HostAccess) -> [Diagnostic] {
        group.disks.enumerated().compactMap { index, disk in
            guard case .file(let path, let format) = disk else { return nil }
            do throws(Diagnostic) {
                _ = try DiskChain(reading: path, as: format, within: access)
                return nil
            } catch {
                return error.placed(at: index < group.diskSpans.count ? group.diskSpans[index] : group.span)
            }
        }
    }

    func unknown(_ name: String, at span: SourceSpan? = nil) -> Diagnostic {
        Diagnostic(
            .specification, "the catalog has no image \"\(name)\"",
            remedy: "it has \(recipes.map(\.name).joined(separator: ", ")); others are declared under `images:`",
            at: span)
    }
}

extension Recipe {
    package var facts: ImageFacts {
        ImageFacts(
            os: os, defaultMemory: memory, minimumMemory: minimumMemory, isFreestanding: isFreestanding,
            isCloneable: console.announces && !isFreestanding)
    }
}
