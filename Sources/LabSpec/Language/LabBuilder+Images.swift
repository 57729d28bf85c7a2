import Diagnostics

/// What a lab says of images of its own.
extension LabBuilder {
    func images() -> [String: ImageDeclaration] {
        let images = Dictionary((draft.images ?? []).map { ($0.name, declaration($0.value, $0)) }) { $1 }
        for named in draft.images ?? [] {
            // An image may have the name of the one in the catalog that it is made from.
            var name = named.name
            var steps = 0
            while let from = images[name]?.from, from != name, steps <= images.count {
                name = from
                steps += 1
            }
            guard steps > images.count else { continue }
            decoding.error(
                "the image \(named.name.quoted()) is made from itself", remedy: "begin with one of the catalog",
                at: named.value.from?.span)
        }
        return images
    }

    private func declaration(_ image: ImageDraft, _ named: Named<ImageDraft>) -> ImageDeclaration {
        if let from = image.from, !knownImages.contains(from.value) {
            decoding.error(
                "there is no image \(from.value.quoted())",
                remedy: decoding.didYouMean(from.value, knownImages.names)
                    ?? "the catalog has \(catalog.joined(separator: ", "))",
                at: from.span)
        }
        let given = image.place.keys
        let hasBase = image.place.says("from")
        let ownDisk = image.place.says("disk") && !hasBase
        for key in ["init", "packages", "files", "setup", "size"] where given[key] != nil && !hasBase {
            // Packages, files and commands go into the lab's own disk by the agent.
            if ownDisk, image.agent != false, key != "init", key != "size" { continue }
            decoding.error(
                "`\(key)` changes another image, and none is named",
                remedy: ownDisk && key != "init" && key != "size"
                    ? "leave out `agent: false`: it is done by the agent" : "add `from: debian`", at: given[key])
        }
        checkDisk(image)
        if let dialect = image.console?.dialect, dialect == .sac || dialect == .uefi, image.onClone != nil {
            decoding.error(
                "`on-clone` is for guests that are cloned, and those with the console `\(dialect.rawValue)` cannot be",
                remedy: "leave it out", at: given["on-clone"])
        }
        let kernelOf = image.kernel.flatMap { catalog.contains($0.value) ? $0.value : nil }
        if given["initrd"] != nil, !image.place.says("kernel"), !image.place.says("from") {
            decoding.error("an initrd needs a kernel", remedy: "add `kernel: …`", at: given["initrd"])
        }
        var os = image.os
        if !image.place.says("os"), !hasBase {
            if image.place.says("kernel") || image.cloudInit != nil {
                os = .linux
            } else {
                decoding.error(
                    "the image \(named.name.quoted()) needs `os:`",
                    remedy: "add `os: linux` or `os: windows`", at: named.nameSpan)
            }
        }
        // An image that no guest boots may name files that are not there yet.
        let isUsed =
            draft.defaults?.image?.value == named.name
            || (draft.guests ?? []).contains { $0.value.image?.value == named.name }
            || (draft.images ?? []).contains { $0.value.from?.value == named.name }
        func file(_ path: Located<String>?, _ what: String) -> String? {
            path.map { isUsed ? paths.check($0, as: .file, what: what, decoding) : paths.resolve($0.value) }
        }
        return ImageDeclaration(
            name: named.name, from: image.from?.value, start: image.start,
            packages: (image.packages ?? []).map(\.value), files: isUsed ? (image.files ?? []).map(copy) : [],
            setup: image.setup, onClone: image.onClone, size: image.size, kernelOf: kernelOf, os: os,
            kernel: kernelOf == nil ? file(image.kernel, "the kernel") : nil,
            initrd: file(image.initrd, "the initrd"),
            modules: (image.modules ?? []).compactMap { file($0, "the module") },
            disk: file(image.disk?.path, "the disk"), download: image.disk.flatMap(Self.download),
            diskFormat: image.disk?.format, cmdline: image.cmdline,
            firmware: file(image.firmware, "the firmware"), agent: image.agent,
            cloudInit: image.cloudInit.flatMap(Self.cloudInit),
            console: image.console.map { console($0, of: image, os: os) },
            memory: image.memory, span: named.nameSpan, keySpans: given)
    }

    private func checkDisk(_ image: ImageDraft) {
        let given = image.place.keys
        if image.cloudInit?.isWanted != false, given["cloud-init"] != nil, !image.place.says("disk") {
            decoding.error(
                "`cloud-init` is for a disk that you bring", remedy: "add `disk: …`, or leave it out",
                at: given["cloud-init"])
        }
        if image.cloudInit?.user == nil, image.cloudInit?.password != nil || image.cloudInit?.keys != nil {
            decoding.error(
                "cloud-init is told a password or a key, but not whose", remedy: "add `user: …`",
                at: given["cloud-init"])
        }
        guard let disk = image.disk else { return }
        if let url = disk.url, disk.path != nil {
            decoding.error(
                "the disk is a file and an address", remedy: "keep `path` or `url`", at: url.span)
        } else if let url = disk.url, disk.sha256 == nil, disk.place.keys["sha256"] == nil {
            decoding.error(
                "the disk is fetched, and nothing says what it must be",
                remedy: "add its `sha256:`; who publishes an image publishes it too", at: url.span)
        } else if disk.url == nil, let sum = disk.sha256 {
            decoding.error(
                "`sha256` is for a disk that is fetched", remedy: "add `url:`, or leave it out", at: sum.span)
        }
    }

    private static func download(_ disk: DiskFileDraft) -> DiskDownload? {
        guard let url = disk.url, let sum = disk.sha256 else { return nil }
        return DiskDownload(url: url.value, sha256: sum.value)
    }

    private static func cloudInit(_ draft: CloudInitDraft) -> CloudInit? {
        guard draft.isWanted != false else { return nil }
        return CloudInit(
            user: draft.user, password: draft.password, keys: draft.keys ?? [], commands: draft.commands ?? [])
    }

    /// An image of the catalog announces itself on COM2; one of the user's own does neither by default.
    private func console(_ console: ConsoleDraft, of image: ImageDraft, os: GuestOS?) -> ConsoleSpec {
        let dialect = console.dialect ?? (os == .windows ? .cmd : .sh)
        let isOwn = image.from == nil || dialect == .sac || dialect == .uefi
        return ConsoleSpec(
            dialect: dialect, announces: console.announces ?? (!isOwn && console.prompt == nil),
            ports: console.ports ?? (isOwn ? 1 : 2), prompt: console.prompt?.text, user: console.user,
            password: console.password,
            reactions: (console.reactions ?? []).compactMap { reaction in
                guard let expect = reaction.expect, let send = reaction.send else { return nil }
                return ConsoleReaction(expect: expect, send: send, times: reaction.times ?? 1)
            })
    }
}
