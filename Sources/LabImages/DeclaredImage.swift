import Diagnostics
import Glibc
import Hashing
import HostSystem
import KernelFormat
import LabSpec

/// What an image takes from another when it says nothing else.
struct ImageBase: Sendable {
    var facts: ImageFacts
    var console: ConsoleSpec
}

extension CatalogImage {
    var base: ImageBase { ImageBase(facts: facts, console: system.console) }
}

/// An image that a lab declares, with what it leaves out from the image that it is based on.
struct DeclaredImage {
    var declaration: ImageDeclaration
    let base: ImageBase?
    /// The host files that its guests may read.
    let access: HostAccess

    init(_ declaration: ImageDeclaration, base: ImageBase?, access: HostAccess = .everything) {
        self.declaration = declaration
        self.base = base
        self.access = access
    }

    /// The serial by which guests find the lab's own disk.
    static let diskSerial = "vmlab-disk"

    /// What an image that is made from this one takes from it.
    var asBase: ImageBase { ImageBase(facts: facts, console: takesAgent ? LearnedGuest.console : console) }

    /// Whether vmlab installs its agent in a copy of its disk, where that turns out to be possible.
    var takesAgent: Bool {
        declaration.agent != false && base == nil && os == .linux && !console.announces && console.dialect == .sh
            && (declaration.download != nil || hasWritableDisk)
    }

    private var hasWritableDisk: Bool {
        guard let disk = declaration.disk else { return false }
        return (try? DiskChain(reading: disk, as: declaration.diskFormat, within: access))?.format != .iso
    }

    var os: GuestOS { declaration.os ?? base?.facts.os ?? .linux }

    var facts: ImageFacts {
        let memory = declaration.memory ?? base?.facts.defaultMemory ?? .mebibytes(512)
        let minimum = base?.facts.minimumMemory ?? .mebibytes(32)
        return ImageFacts(
            os: os, defaultMemory: memory, minimumMemory: min(minimum, memory), isFreestanding: isFreestanding,
            hasKernel: declaration.firmware == nil && (declaration.kernel != nil || base?.facts.hasKernel == true),
            isCloneable: console.isCloneable && !isFreestanding)
    }

    /// By which commands reach its guests, before they have the agent.
    var console: ConsoleSpec {
        if let own = declaration.console { return own }
        if playsWindows { return ConsoleSpec(dialect: .cmd) }
        return base?.console ?? ConsoleSpec(dialect: os == .windows ? .sac : .sh, announces: false, ports: 1)
    }

    /// A lab's own kernel is taken for an operating system's, not for a bare-metal program.
    private var isFreestanding: Bool { base?.facts.isFreestanding == true && declaration.kernel == nil }

    // MARK: Checks

    /// All problems of the files, with their locations in the lab.
    func problems() -> [Diagnostic] {
        var problems: [Diagnostic] = []
        if let kernel = declaration.kernel, let problem = unusable(kernel, "kernel") ?? notAKernel(kernel) {
            problems.append(problem)
        }
        if let initrd = declaration.initrd, let problem = unusable(initrd, "initrd") { problems.append(problem) }
        problems += declaration.modules.compactMap { unusable($0, "module", key: "modules") ?? notAModule($0) }
        if let disk = declaration.disk, let problem = unusable(disk, "disk") ?? notADisk(disk) {
            problems.append(problem)
        }
        if let firmware = declaration.firmware, let problem = unusable(firmware, "firmware") {
            problems.append(problem)
        }
        if declaration.agent == true, !takesAgent {
            problems.append(
                problem(
                    "vmlab's agent cannot be installed in the image \"\(declaration.name)\"",
                    "leave `agent:` out: " + (base == nil ? "it is for a Linux disk" : "its base has the agent"),
                    key: "agent"))
        }
        if declaration.kernel == nil, declaration.disk == nil, declaration.download == nil,
            declaration.firmware == nil, base == nil
        {
            problems.append(
                problem(
                    "the image \"\(declaration.name)\" has nothing to boot",
                    "give it a `kernel:`, a `disk:` or a `firmware:`"))
        }
        return problems
    }

    private func problem(_ message: String, _ remedy: String?, key: String? = nil, cause: String? = nil) -> Diagnostic {
        let span = key.flatMap { declaration.keySpans[$0] } ?? declaration.span
        return Diagnostic(.specification, message, remedy: remedy, cause: cause, at: span)
    }

    private func unusable(_ path: String, _ what: String, key: String? = nil) -> Diagnostic? {
        let key = key ?? what
        guard let facts = FileStamp(path) else {
            return problem(
                "the \(what) of the image \"\(declaration.name)\" is not there: \(path)",
                "relative paths start from the lab file's folder", key: key)
        }
        if !facts.isFile { return problem("the \(what) \(path) is not a file", nil, key: key) }
        if facts.size == 0 { return problem("the \(what) \(path) is empty", "make it again", key: key) }
        if Glibc.access(path, R_OK) != 0 {
            return problem(
                "the \(what) \(path) cannot be read", "let this user read it: `chmod +r`", key: key,
                cause: SystemCallError("open", path).description)
        }
        return nil
    }

    private func notAKernel(_ path: String) -> Diagnostic? {
        let bytes = firstBytes(path, LinuxHeader.least)
        // A vmlinux is an ELF file.
        if bytes.starts(with: ELFHeader.magic) || LinuxHeader.isBZImage(bytes) { return nil }
        return problem(
            "\(path) is not a Linux kernel for x86: neither a bzImage nor an ELF file",
            "in a kernel tree it is arch/x86/boot/bzImage, on Debian /boot/vmlinuz-…", key: "kernel")
    }

    /// A module is an object file, possibly compressed with xz, zstd or gzip, by its extension.
    private func notAModule(_ path: String) -> Diagnostic? {
        let formats: [(ending: String, magic: [UInt8])] = [
            (".ko", ELFHeader.magic), (".ko.xz", KernelPayload.Format.xz.magic),
            (".ko.zst", KernelPayload.Format.zstd.magic), (".ko.gz", KernelPayload.Format.gzip.magic),
        ]
        if let format = formats.first(where: { path.hasSuffix($0.ending) }),
            firstBytes(path, format.magic.count) == format.magic
        {
            return nil
        }
        return problem(
            "\(path) is not a kernel module: a .ko, .ko.xz, .ko.zst or .ko.gz file",
            "they lie under /lib/modules/VERSION/kernel", key: "modules")
    }

    private func notADisk(_ path: String) -> Diagnostic? {
        do throws(Diagnostic) {
            _ = try DiskChain(reading: path, as: declaration.diskFormat, within: access)
            return nil
        } catch {
            return error.placed(at: declaration.keySpans["disk"] ?? declaration.span)
        }
    }

    private func firstBytes(_ path: String, _ count: Int) -> [UInt8] {
        (try? SmallFile.bytes(path, limit: count)) ?? []
    }

    // MARK: Booting

    /// The image ready to boot; `built` is that of `from:`. Throws a `DiagnosticList` of all problems.
    func bootable(on built: BootableImage?) throws(DiagnosticList) -> BootableImage {
        let problems = problems()
        guard problems.isEmpty else { throw DiagnosticList(problems) }
        var disks = built?.disks ?? []
        if let disk = declaration.disk {
            let chain: DiskChain
            do throws(Diagnostic) {
                chain = try DiskChain(reading: disk, as: declaration.diskFormat, within: access)
            } catch {
                throw DiagnosticList([error])
            }
            disks.append(
                ImageDisk(
                    path: disk, format: chain.format, serial: Self.diskSerial, readOnly: chain.format == .iso))
        }
        let kernel = declaration.kernel ?? built?.kernel
        // What its base has turned out to be, which may have no agent.
        let console = declaration.console == nil && !playsWindows ? built?.console ?? self.console : self.console
        let usualShutdown = ShutdownCommands(of: console, isFreestanding: isFreestanding)
        let usualWords = kernel == nil || os == .windows || isFreestanding ? "" : "console=ttyS0"
        let identity =
            [declaration.kernel, declaration.initrd, declaration.disk, declaration.firmware].map(stamp)
            + declaration.modules.map(stamp)
        var image = BootableImage(
            name: declaration.name, id: SHA256.hex((identity + [built?.id ?? "-"]).joined(separator: "\n")), os: os,
            kernel: kernel, initrd: declaration.initrd ?? built?.initrd,
            modules: declaration.modules, disks: disks,
            firmware: declaration.firmware ?? built?.firmware,
            cmdline: words(on: built) ?? usualWords,
            console: console,
            defaultMemory: facts.defaultMemory, minimumMemory: facts.minimumMemory,
            isFreestanding: isFreestanding, hold: built?.hold ?? Hold(),
            shutdown: declaration.console == nil ? built?.shutdown ?? usualShutdown : usualShutdown)
        image.onClone = (built?.onClone ?? []) + [declaration.onClone].compactMap(\.self)
        return image
    }

    /// A bare-metal guest emulates either system, by its kernel words.
    private var playsWindows: Bool { isFreestanding && os == .windows }

    /// The kernel command line; nil when neither side has one. The words of `from:` come first, because kernels use the last
    /// value of most parameters. Those that move the command channel to virtio ports are left out for a lab's own kernel, which
    /// may lack the drivers; every kernel supports a serial port.
    private func words(on built: BootableImage?) -> String? {
        let ports = ["vmlab.port=", "vmlab.keys="]
        let inherited = (built?.cmdline ?? "").split(separator: " ").filter { word in
            declaration.kernel == nil || !ports.contains { word.hasPrefix($0) }
        }
        let system = playsWindows ? ["vmlab.os=windows"] : []
        let words = (inherited.map(String.init) + system + [declaration.cmdline ?? ""]).filter { !$0.isEmpty }
        return words.isEmpty ? nil : words.joined(separator: " ")
    }

    /// Detects changes of a file without reading gigabytes.
    private func stamp(_ path: String?) -> String {
        guard let path, let facts = FileStamp(path) else { return "-" }
        return "\(path) \(facts.size) \(facts.modified)"
    }
}
