import Diagnostics
import Hashing
import HostSystem
import LabSpec

/// How vmlab's agent comes into a disk that knows nothing of it: a guest of a copy is logged in to as a person would, takes the
/// agent from a disk, and is shut down. What guests boot from then on is the copy.
struct AgentInstallation {
    let image: DeclaredImage
    /// Whether vmlab has to bring its own way in.
    let bringsLogin: Bool

    init(_ image: DeclaredImage) {
        self.image = image
        bringsLogin = image.console.user == nil && image.console.prompt == nil
    }

    /// The agent's disk.
    static let recipe = Recipe(
        name: "agent", script: PackageResources.agent_sh, files: ImageCatalog.supportFiles)

    var needsSeed: Bool { bringsLogin || image.declaration.cloudInit != nil }

    /// The console by which the guest is logged in to.
    var console: ConsoleSpec {
        var console = image.console
        if bringsLogin { (console.user, console.password) = (CloudInitSeed.user, CloudInitSeed.password) }
        return console
    }

    /// What is run in it. `seed` is the text of the seed, so that another seed makes another image.
    func layer(seed: String, agent: String) -> ImageLayer {
        let script = String(decoding: PackageResources.agent_install_sh, as: UTF8.self)
        let wish = !needsSeed ? "" : image.declaration.cloudInit == nil ? "offered" : "wanted"
        return ImageLayer(
            name: image.declaration.name,
            setup: Self.asRoot(
                "# \(agent) \(SHA256.hex(seed))\nVMLAB_SEED=\(wish)\n\(script)", password: console.password),
            memory: image.declaration.memory, isAgent: true, span: image.declaration.span)
    }

    /// How the guest is shut down, by whom it was logged in as.
    var shutdown: ShutdownCommands {
        ShutdownCommands(powerOff: Self.asRoot("sync; poweroff", password: console.password))
    }

    /// A script of the guest's shell that runs another as root: at once, or by sudo, with or without the login's password.
    private static func asRoot(_ script: String, password: String?) -> String {
        """
        script=$(cat <<'VMLAB_SCRIPT'
        \(script)
        VMLAB_SCRIPT
        )
        if [ "$(id -u)" = 0 ]; then
            sh -c "$script"
        elif sudo -n true 2>/dev/null; then
            sudo -n sh -c "$script"
        elif printf '%s\\n' \((password ?? "").shellQuoted) | sudo -S -p '' true 2>/dev/null; then
            printf '%s\\n' \((password ?? "").shellQuoted) | sudo -S -p '' sh -c "$script"
        else
            echo "vmlab-learned: obstacle its user $(id -un) is not root, and sudo does not make it so"
        fi
        """
    }
}

extension String {
    /// As one word of a POSIX shell.
    fileprivate var shellQuoted: String {
        "'" + split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
    }
}
