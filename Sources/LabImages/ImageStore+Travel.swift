import Diagnostics
import Glibc
import HostSystem
import LabSpec

extension ImageStore {
    /// The folders of the cache that an image is in, by name.
    func folders(of image: BootableImage) -> Set<String> {
        let parent = "\(directory)/images"
        let files = [image.kernel, image.initrd].compactMap(\.self) + image.disks.map(\.path)
        return Set(
            files.map { FilePath.folder(of: $0) }.filter { FilePath.folder(of: $0) == parent }
                .map { String($0.dropFirst(parent.utf8.count + 1)) })
    }

    /// Writes folders of the cache to one file, compressed, for another host. Throws a `Diagnostic`; nothing is left then.
    func export(_ folders: Set<String>, to file: String) async throws {
        try Tool.require(["tar": "tar", "zstd": "zstd"])
        let partial = "\(file).\(getpid())"
        defer { unlink(partial) }
        let result = try await Tool.run(
            "tar",
            ["--create", "--use-compress-program", "zstd -T0", "--sparse", "--owner=0", "--group=0", "--file", partial]
                + ["--directory", "\(directory)/images"] + folders.sorted())
        try BuildFailure.check(result, "cannot write \(file)", near: FilePath.folder(of: FilePath.absolute(file))) {
            nil
        }
        do throws(SystemCallError) {
            try FileTree.move(partial, to: file)
        } catch {
            throw error.diagnostic("cannot write \(file)")
        }
    }

    /// Takes images from a file that `export` wrote, after every byte of them is verified. Returns the names of those that were not
    /// there. Throws a `Diagnostic`; nothing is taken then.
    package func take(from file: String) async throws -> [String] {
        try Tool.require(["tar": "tar", "zstd": "zstd"])
        guard FileTree.exists(file) else { throw Diagnostic(.host, "there is no file \(file)") }
        let scratch = "\(directory)/build/import-\(getpid())"
        defer { try? FileTree.remove(scratch) }
        do {
            for folder in ["\(directory)/images", scratch] { try FileTree.makeFolder(folder) }
            let result = try await Tool.run(
                "tar",
                ["--extract", "--use-compress-program", "zstd", "--no-same-owner", "--file", FilePath.absolute(file)]
                    + ["--directory", scratch])
            try BuildFailure.check(result, "cannot read images from \(file)", near: scratch) {
                "it is written by `vmlab images export`"
            }
            var taken: [String] = []
            let names = try FileTree.names(in: scratch)
            for name in names { try await verify(name, in: scratch, from: file) }
            for name in names where !FileTree.exists("\(directory)/images/\(name)") {
                try FileTree.move("\(scratch)/\(name)", to: "\(directory)/images/\(name)")
                taken.append(name)
            }
            return taken
        } catch let error as SystemCallError {
            throw error.diagnostic("cannot take images from \(file)")
        }
    }

    /// Throws unless the folder is an image's, whole, and has nothing but plain files.
    private func verify(_ name: String, in scratch: String, from file: String) async throws {
        let folder = "\(scratch)/\(name)"
        func damaged(_ what: String) -> Diagnostic {
            Diagnostic(.image, "\(file) is damaged: \(name): \(what)", remedy: "export it again")
        }
        guard let manifest = ImageManifest(in: folder) else { throw damaged("it has no manifest") }
        guard Set(try FileTree.names(in: folder)) == Set(manifest.files.map(\.name) + [manifestName]) else {
            throw damaged("it has other files than its manifest says")
        }
        for entry in try FileTree.names(in: folder) {
            var status = stat()
            guard lstat("\(folder)/\(entry)", &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
                throw damaged("\(entry) is not a plain file")
            }
        }
        let checked = CheckedFiles(cacheDirectory: scratch, name: "checked-\(name)")
        if let damage = try await manifest.damage(in: folder, checked: checked, again: true) { throw damaged(damage) }
    }
}

extension ImageSupply {
    /// Writes an image of a lab, or of the catalog, with all that it is made from to one file; it is made first where it is not
    /// there. Another host that takes it makes nothing anew. Throws as `image` does.
    package func export(
        _ name: String, of lab: Lab, to file: String,
        progress: @escaping @Sendable (_ image: String, _ step: String, _ fraction: Double?) -> Void
    ) async throws {
        var folders: Set<String> = []
        let image = try await self.image(
            name, of: lab, made: { folders.formUnion(store.folders(of: $0)) }, progress: progress)
        try await store.export(folders, to: file)
        // Held until it is written.
        withExtendedLifetime(image) {}
    }
}
