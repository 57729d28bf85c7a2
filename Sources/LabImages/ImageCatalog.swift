import Diagnostics
import HostSystem
import LabSpec

/// The images that need no declaration.
package struct ImageCatalog: Sendable {
    /// In listing order.
    package let images: [CatalogImage]

    package init(_ images: [CatalogImage]) {
        self.images = images
    }

    /// The built-in catalog.
    package static let standard = ImageCatalog(
        [DebianSystem(.usual).image(named: "debian")]
            + DebianRelease.allCases.map { DebianSystem($0).image(named: "debian:\($0.number)") }
            + [
                CatalogImage(Recipe(name: "busybox", script: PackageResources.busybox_sh, files: supportFiles)),
                CatalogImage(
                    Recipe(
                        name: "wine", os: .windows, console: ConsoleSpec(dialect: .cmd),
                        script: PackageResources.wine_sh,
                        files: supportFiles)),
                CatalogImage(Recipe(name: "probe", script: PackageResources.probe_sh, files: supportFiles)),
            ])

    /// The recipes of all images, each once.
    var recipes: [Recipe] {
        var seen: Set<String> = []
        return images.flatMap(\.recipes).filter { seen.insert("\($0.name)-\($0.key)").inserted }
    }

    /// The support files for recipes in Recipes/, embedded so that the program needs no files at run time.
    static let supportFiles: [String: [UInt8]] = [
        "agent-install.sh": PackageResources.agent_install_sh,
        "busybox-init.sh": PackageResources.busybox_init_sh,
        "vmlab-agent.service": PackageResources.vmlab_agent_service,
        "vmlab-agent.sh": PackageResources.vmlab_agent_sh,
        "vmlab-booted.service": PackageResources.vmlab_booted_service,
        "debian-initrd.sh": PackageResources.debian_initrd_sh,
        "debian-root-init.sh": PackageResources.debian_root_init_sh,
        "vmlab-grow.c": PackageResources.vmlab_grow_c,
        "vmlab-root.c": PackageResources.vmlab_root_c,
        "session.sh": PackageResources.session_sh,
        "udhcpc.sh": PackageResources.udhcpc_sh,
        "wine-init.sh": PackageResources.wine_init_sh,
        "relay.c": PackageResources.relay_c,
        "vmlab-files.c": PackageResources.vmlab_files_c,
        "vmlab-halt.sh": PackageResources.vmlab_halt_sh,
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

    package static var names: [String] { standard.images.map(\.name) }

    package subscript(name: String) -> CatalogImage? { images.first { $0.name == name } }

    /// The facts known before the build of the images that a lab uses, and problems of declared images and of the groups'
    /// disks. Reads a few bytes of each file.
    package static func facts(of lab: Lab) -> (facts: [String: ImageFacts], problems: [Diagnostic]) {
        standard.facts(of: lab)
    }

    package func facts(of lab: Lab) -> (facts: [String: ImageFacts], problems: [Diagnostic]) {
        var facts: [String: ImageFacts] = [:]
        var problems: [Diagnostic] = []
        for group in lab.groups where facts[group.image] == nil {
            do throws(Diagnostic) {
                guard let stack = try ImageStack(group.image, in: lab, catalog: self) else {
                    problems.append(unknown(group.image, at: group.span))
                    continue
                }
                let declared = stack.declared(access: lab.access)
                facts[group.image] = declared.last?.facts ?? stack.base?.facts
                problems += declared.flatMap { $0.problems() }
            } catch {
                problems.append(error)
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
            remedy: "it has \(images.map(\.name).joined(separator: ", ")); others are declared under `images:`",
            at: span)
    }
}
