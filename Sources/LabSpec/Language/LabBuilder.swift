import Diagnostics
import YAMLTree

/// Builds a lab from a decoded file: applies defaults, resolves names and reports what does not fit together.
struct LabBuilder {
    let draft: LabDraft
    let catalog: [String]
    let paths: HostPaths
    let decoding: Decoding
    /// Names that the file declares; one whose value was refused is still not unknown.
    private let declaredGuests: [String]
    let knownImages: KnownNames
    private let knownNetworks: KnownNames

    init(draft: LabDraft, root: YAMLNode, catalog: Set<String>, paths: HostPaths, decoding: Decoding) {
        func declared(_ key: String) -> [String] {
            root[key]?.entries?.map(\.key) ?? root[key]?.elements?.compactMap(\.scalar?.text) ?? []
        }
        self.draft = draft
        self.catalog = catalog.sorted()
        self.paths = paths
        self.decoding = decoding
        declaredGuests = declared("guests")
        knownImages = KnownNames(declared("images") + self.catalog)
        knownNetworks = KnownNames(declared("networks"))
    }

    /// The lab; complete only when nothing was reported.
    func lab(source: SourceFile, cell: MatrixCell?) -> Lab {
        let images = self.images()
        let networks = self.networks()
        let groups = self.groups()
        let uncounted = (draft.guests ?? []).filter { $0.value.place.keys["count"] != nil && $0.value.count == nil }
        let guests = GuestNames(groups, declared: declaredGuests, uncounted: Set(uncounted.map(\.name)), decoding)
        let tasks = self.tasks(guests)
        let groupOf = Dictionary(groups.flatMap { group in group.guests.map { ($0.name, group) } }) { $1 }
        ResetCheck.check(tasks, draft.tasks ?? [], groups: groupOf, decoding)
        FailedLineCheck.check(tasks, draft.tasks ?? [], groups: groupOf, decoding)
        NeedsGraph(draft.tasks ?? []).check(decoding)
        checkUse(groups)
        let timeouts = draft.timeouts
        let standard = Timeouts()
        return Lab(
            name: draft.lab?.value ?? "", source: source, directory: paths.directory, access: paths.access, cell: cell,
            images: images,
            groups: groups, networks: networks, tasks: tasks, admission: draft.admission ?? .strict,
            timeouts: Timeouts(
                boot: timeouts?.boot ?? standard.boot, task: timeouts?.task ?? standard.task,
                silence: timeouts?.silence, lab: timeouts?.lab, grace: timeouts?.grace ?? standard.grace),
            failOn: draft.failOn.map { Set($0) } ?? TroubleKind.grave, outputLimit: draft.outputLimit ?? .mebibytes(64))
    }

    // MARK: Networks

    private func networks() -> [NetworkSpec] {
        var seen: Set<String> = []
        return (draft.networks ?? []).compactMap { named in
            guard seen.insert(named.name).inserted else {
                decoding.error(
                    "the network \(named.name.quoted()) is named twice", remedy: "keep one", at: named.nameSpan)
                return nil
            }
            let nat = named.value.nat ?? false
            let host = named.value.host ?? []
            if !nat, !host.isEmpty {
                decoding.error(
                    "the network \(named.name.quoted()) opens ports of the host and does not reach it",
                    remedy: "add `nat: true`, or leave `host` out", at: named.nameSpan)
            }
            return NetworkSpec(name: named.name, nat: nat, host: Set(host), span: named.nameSpan)
        }
    }

    // MARK: Groups

    private func groups() -> [GuestGroup] {
        let defaults = draft.defaults ?? GuestDraft()
        checkReferences(defaults)
        return (draft.guests ?? []).map { named in
            checkReferences(named.value)
            return group(named.value.filled(from: defaults), own: named)
        }
    }

    private func group(_ guest: GuestDraft, own named: Named<GuestDraft>) -> GuestGroup {
        let hasImage = named.value.place.says("image") || draft.defaults?.place.says("image") == true
        if !hasImage {
            decoding.error(
                "the guest group \(named.name.quoted()) has no image", remedy: "add `image: debian`", at: named.nameSpan
            )
        }
        return GuestGroup(
            name: named.name, count: guest.count, image: guest.image?.value ?? "", memory: guest.memory,
            cpus: guest.cpus ?? 1, nested: guest.nested ?? false, disks: (guest.disks ?? []).compactMap(disk),
            networks: guest.networks?.map(\.value) ?? [], backend: guest.backend ?? .auto, boot: guest.boot ?? .auto,
            cpuWeight: guest.cpuWeight, ioWeight: guest.ioWeight, cmdline: guest.cmdline,
            env: environment((draft.env ?? []) + (guest.env ?? [])), shell: guest.shell, span: named.nameSpan,
            diskSpans: (guest.disks ?? []).map(place))
    }

    private func disk(_ disk: Located<DiskDraft>) -> DiskSpec? {
        if let size = disk.value.size { return .scratch(size: size) }
        guard let path = disk.value.path else { return nil }
        return .file(
            path: paths.check(Located(path, at: place(of: disk)), as: .file, what: "the disk", decoding),
            format: disk.value.format)
    }

    private func place(of disk: Located<DiskDraft>) -> SourceSpan { disk.value.place.keys["path"] ?? disk.span }

    /// Reports images and networks that do not exist.
    private func checkReferences(_ guest: GuestDraft) {
        if let image = guest.image, !knownImages.contains(image.value) {
            decoding.error(
                "there is no image \(image.value.quoted())",
                remedy: decoding.didYouMean(image.value, knownImages.names)
                    ?? "the catalog has \(catalog.joined(separator: ", ")); declare your own under `images:`",
                at: image.span)
        }
        var seen: Set<String> = []
        for network in guest.networks ?? [] {
            if !knownNetworks.contains(network.value) {
                decoding.error(
                    "there is no network \(network.value.quoted())",
                    remedy: decoding.didYouMean(network.value, knownNetworks.names) ?? "declare it under `networks:`",
                    at: network.span
                )
            } else if !seen.insert(network.value).inserted {
                decoding.error(
                    "the network \(network.value.quoted()) is joined twice", remedy: "keep one", at: network.span)
            }
        }
    }

    /// Each variable once; a later value replaces an earlier one.
    private func environment(_ variables: [Named<String>]) -> [EnvironmentVariable] {
        var places: [String: Int] = [:]
        var result: [EnvironmentVariable] = []
        for variable in variables {
            if let place = places[variable.name] {
                result[place].value = variable.value
            } else {
                places[variable.name] = result.count
                result.append(EnvironmentVariable(variable.name, variable.value))
            }
        }
        return result
    }

    private func checkUse(_ groups: [GuestGroup]) {
        guard !decoding.hasErrors else { return }
        let usedImages = Set(groups.map(\.image) + (draft.images ?? []).compactMap { $0.value.from?.value })
        for image in draft.images ?? [] where !usedImages.contains(image.name) {
            decoding.warning("no guest boots the image \(image.name.quoted())", at: image.nameSpan)
        }
        let usedNetworks = Set(groups.flatMap(\.networks))
        for network in draft.networks ?? [] where !usedNetworks.contains(network.name) {
            decoding.warning("no guest joins the network \(network.name.quoted())", at: network.nameSpan)
        }
    }

    // MARK: Tasks

    private func tasks(_ guests: GuestNames) -> [LabTask] {
        var first: [String: SourceSpan] = [:]
        return (draft.tasks ?? []).map { task in
            if let name = task.name {
                if let place = first[name.value] {
                    decoding.error(
                        "two tasks are named \(name.value.quoted())",
                        remedy: "rename one; the first is in line \(place.start.line)", at: name.span)
                } else {
                    first[name.value] = name.span
                }
            }
            return self.task(task, guests)
        }
    }

    private func task(_ task: TaskDraft, _ guests: GuestNames) -> LabTask {
        checkScript(of: task)
        if let cwd = task.cwd { GuestPaths.check(cwd, key: "cwd", decoding) }
        return LabTask(
            name: task.name?.value ?? "", targets: guests.targets(of: task, decoding), action: action(task),
            shell: task.shell, user: task.user?.value, folder: task.cwd?.value, input: task.stdin.flatMap(input),
            errors: task.stderr ?? .merged, expect: task.expect ?? Expectation(), timeout: task.timeout,
            retries: task.retries?.count ?? 0,
            retryOn: task.retries?.on ?? .infrastructure, repetitions: task.repeats ?? 1,
            needs: task.needs?.map(\.value) ?? [], condition: task.condition ?? .needsPassed,
            env: environment(task.env ?? []),
            put: (task.put ?? []).map(copy),
            get: (task.get ?? []).compactMap { get in
                guard let path = get.path else { return nil }
                GuestPaths.check(path, for: .collected, key: "get", decoding)
                return FileCollection(path.value, limit: get.limit)
            },
            reboot: task.reboot ?? false, reset: task.reset ?? .nothing,
            failOn: task.failOn.map { Set($0) }, outputLimit: task.outputLimit, span: task.name?.span ?? task.place.span
        )
    }

    /// Reports what only a task with a script can have.
    private func checkScript(of task: TaskDraft) {
        guard !task.place.says("run"), !task.place.says("script") else { return }
        for key in ["user", "cwd", "stdin", "stderr"] where task.place.keys[key] != nil {
            decoding.error(
                "`\(key)` is for `run` and `script`, and this task has neither",
                remedy: task.place.says("lua") ? "in Lua, give it to `guest:run`: `{\(key) = …}`" : "leave it out",
                at: task.place.keys[key])
        }
    }

    private func input(_ draft: InputDraft) -> CommandSource? {
        if let text = draft.text { return .text(Array(text.utf8)) }
        return draft.file.map { .file(paths.check($0, as: .file, what: "the input", decoding)) }
    }

    private func action(_ task: TaskDraft) -> TaskAction {
        let script = task.script.map { paths.check($0, as: .file, what: "the script", decoding) }
        let lua = task.lua.map { lua -> LuaSource in
            guard lua.text.hasSuffix(".lua"), !lua.text.contains(where: \.isNewline), let span = lua.span else {
                return .inline(lua)
            }
            let path = Located(lua.text, at: span)
            // A file that may not or cannot be read was reported already and is not checked.
            guard paths.find(path, as: .file, what: "the Lua file", decoding) else { return .inline("") }
            return .file(path: paths.resolve(lua.text))
        }
        if let run = task.run { return .run(run) }
        if let script { return .script(path: script) }
        return lua.map { .lua($0) } ?? .nothing
    }

    func copy(_ put: Named<PutDraft>) -> FileCopy {
        // `./site/: /srv/site/` is one folder to the other, as with rsync.
        var guest = put.value.to?.value ?? ""
        if put.name.hasSuffix("/"), guest.hasSuffix("/"), guest.count > 1 { guest.removeLast() }
        let copy = FileCopy(
            host: paths.resolve(put.name), guest: guest, links: put.value.links ?? .keep,
            ignore: put.value.ignore, span: put.nameSpan)
        if let target = put.value.to {
            if PutDraft.manner.contains(put.name), !target.value.hasPrefix("/") {
                decoding.error(
                    "`\(put.name)` belongs to one entry of `put`",
                    remedy: "write it there: `./: {to: /src, \(put.name): \(target.value)}`", at: put.nameSpan)
                return copy
            }
            GuestPaths.check(target, key: "put", decoding)
        }
        guard !put.name.hasExpression else { return copy }
        let source = Located(put.name, at: put.nameSpan)
        let isFound = paths.find(source, as: .fileOrFolder, what: "the source", decoding)
        if isFound, put.value.ignore == .git, !paths.isInGitCheckout(copy.host) {
            decoding.error(
                "the source \(put.name.quoted()) is no folder of a git checkout",
                remedy: "run `git init` there, or leave `ignore: git` out", at: put.value.place.keys["ignore"])
        }
        return copy
    }
}

/// Names that a reference may use.
struct KnownNames {
    let names: [String]
    /// Whether a name awaits a matrix value that was not found: then any reference may mean it.
    private let isOpen: Bool
    private let set: Set<String>

    init(_ names: [String]) {
        self.names = names
        set = Set(names)
        isOpen = names.contains { $0.hasExpression }
    }

    func contains(_ name: String) -> Bool { isOpen || set.contains(name) }
}
