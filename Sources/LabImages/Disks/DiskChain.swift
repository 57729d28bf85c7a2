import Diagnostics
import Glibc
import HostSystem
import LabSpec

/// A disk with its backing files, as vmlab has found them: passed to QEMU explicitly, so that it probes nothing.
package struct DiskChain: Sendable, Hashable {
    /// One file of a disk.
    package struct Layer: Sendable, Hashable {
        package var path: String
        package var format: ImageDisk.Format
        /// The external raw data file, absolute; nil when the layer has its own data.
        package var data: String?
    }

    /// The disk's own file, then its backing files in order; never empty.
    package let layers: [Layer]

    /// The disk's own file.
    package var path: String { layers[0].path }
    package var format: ImageDisk.Format { layers[0].format }

    package init(path: String, format: ImageDisk.Format) {
        layers = [Layer(path: path, format: format)]
    }

    /// This disk as the backing file of a new qcow2 overlay.
    package func under(_ overlay: String) -> DiskChain {
        DiskChain(layers: [Layer(path: overlay, format: .qcow2)] + layers)
    }

    /// The backing chain of the disk's own file; nil without one.
    package var base: DiskChain? { layers.count > 1 ? DiskChain(layers: Array(layers.dropFirst())) : nil }

    private init(layers: [Layer]) { self.layers = layers }

    private static let mostLayers = 200

    /// Reads the headers of a disk's files, a few kilobytes. The disk has the given format, else the detected one. Throws a
    /// `Diagnostic` without a location for what cannot be attached, with the remedy: a file that is missing, is no disk, is
    /// compressed, refers to a file outside `access`, or is its own backing file.
    package init(reading path: String, as given: ImageDisk.Format? = nil, within access: HostAccess) throws(Diagnostic)
    {
        var layers: [Layer] = []
        var next: (path: String, format: ImageDisk.Format?)? = (path, given)
        while let (path, format) = next {
            let look = DiskLook(
                disk: layers.first?.path ?? path, over: layers.last?.path, path: path, given: format, access: access)
            guard layers.count < Self.mostLayers, !layers.contains(where: { look.isSame($0.path) }) else {
                throw look.endless
            }
            let (layer, backing) = try look.layer()
            layers.append(layer)
            next = backing
        }
        self.layers = layers
    }
}

private struct DiskLook {
    /// The disk's own file.
    let disk: String
    /// The file that refers to this one; nil for the disk's own.
    let over: String?
    let path: String
    /// The format given by the lab or by the file above; nil when unknown.
    let given: ImageDisk.Format?
    /// The host files that the disk's guest may read.
    let access: HostAccess

    func isSame(_ other: String) -> Bool {
        guard let mine = FileStamp(path), let its = FileStamp(other) else { return path == other }
        return mine == its
    }

    var endless: Diagnostic {
        Diagnostic(
            .specification, "the disk \(disk) is its own backing file",
            remedy: "`qemu-img info --backing-chain` shows its files",
            cause: over.map { "\($0) names \(path)" })
    }

    func layer() throws(Diagnostic) -> (DiskChain.Layer, backing: (String, ImageDisk.Format?)?) {
        if over != nil { try checkReach(path) }
        let file = try open(path)
        let format = try format(of: file)
        let references: DiskReferences
        do throws(DiskReferences.Refusal) {
            references = try DiskReferences.of(file, format)
        } catch {
            throw problem("the disk \(path) \(error.reason)", remedy: conversion(by: format.driver))
        }
        var layer = DiskChain.Layer(path: path, format: format)
        if let data = references.data {
            let place = try resolve(data)
            try checkReach(place)
            _ = try open(place)
            layer.data = place
        }
        guard let backing = references.backing else { return (layer, nil) }
        return (layer, (try resolve(backing), try backingFormat(references.backingDriver)))
    }

    private func format(of file: borrowing DiskFile) throws(Diagnostic) -> ImageDisk.Format {
        let found = DiskSignature.of(file)
        if let given {
            let isSo = given == .raw || found?.meaning == .attached(given)
            guard isSo else {
                let remedy =
                    over.map { "say what it is: \(rebase($0, found))" } ?? "leave out `format:`, or say what it is"
                throw problem(
                    "the disk \(path) is not a \(given.rawValue) image", remedy: remedy,
                    cause: found.map { "it is \($0.name)" })
            }
            return given
        }
        switch found?.meaning {
        case .attached(let format): return format
        case .converted(let driver):
            throw problem("the disk \(path) is a \(name(found)), which is not attached", remedy: conversion(by: driver))
        case .packed(let command):
            throw problem(
                "the disk \(path) is compressed: \(name(found))",
                remedy: "decompress it: `\(command) \(path.shellWord)`; `format: raw` attaches it as it is")
        case nil: break
        }
        if over == nil, let promised = DiskSignature.promised(by: path) {
            throw problem(
                "\(path) is called \(promised.suffixes[0]) but is not one",
                remedy: "`qemu-img info \(path.shellWord)` tells what it is; `format: raw` attaches it as it is")
        }
        return .raw
    }

    private func name(_ signature: DiskSignature?) -> String { signature?.name ?? "disk" }

    /// The format for QEMU's driver name in a header.
    private func backingFormat(_ driver: String?) throws(Diagnostic) -> ImageDisk.Format? {
        guard let driver else { return nil }
        if let format = ImageDisk.Format.allCases.first(where: { $0.driver == driver }) { return format }
        throw problem(
            "the disk \(path) has a backing file of format \(driver.quoted()), which is not attached",
            remedy: conversion(by: nil))
    }

    /// Resolves a reference; relative paths start from this file's folder.
    private func resolve(_ name: String) throws(Diagnostic) -> String {
        var name = name
        if name.hasPrefix("file:") { name.removeFirst(5) }
        // QEMU's rule for telling protocol names from paths.
        guard name.prefix(while: { $0 != "/" }).contains(":") == false, !name.isEmpty else {
            throw problem(
                "the disk \(path) has the backing file \(name.quoted()), which is not a file of this host",
                remedy: conversion(by: nil))
        }
        return name.hasPrefix("/") ? name : "\(FilePath.folder(of: path))/\(name)"
    }

    private func checkReach(_ path: String) throws(Diagnostic) {
        do throws(HostAccess.Refusal) {
            _ = try access.real(path)
        } catch {
            // A missing file has its own message.
            guard case .outside(let real) = error, Glibc.access(path, F_OK) == 0 else { return }
            throw problem(
                "the disk \(disk) refers to \(path), which its guest may not read",
                remedy: "\(HostAccess.Refusal.remedy(real)); or put the file beside the lab, and say so: "
                    + rebase(over ?? disk),
                cause: over.map { "\($0) names it" })
        }
    }

    private func open(_ path: String) throws(Diagnostic) -> DiskFile {
        do throws(SystemCallError) {
            return try DiskFile(path)
        } catch {
            let owner = over ?? self.path
            guard owner != path else {
                throw problem(
                    "the disk \(path) cannot be read", remedy: "check its permissions", cause: error.description)
            }
            let isMissing = [ENOENT, ENOTDIR].contains(error.errno)
            throw problem(
                "the disk \(owner) needs the file \(path), which \(isMissing ? "is not there" : "cannot be read")",
                remedy: isMissing
                    ? "give it the new place: \(rebase(owner))" : "check its permissions",
                cause: isMissing ? nil : error.description)
        }
    }

    private func rebase(_ file: String, _ found: DiskSignature? = nil) -> String {
        let format = if case .attached(let format)? = found?.meaning { format } else { given }
        let driver = over == nil ? nil : format?.driver
        return "`qemu-img rebase -u -F \(driver ?? "FORMAT") -b FILE \(file.shellWord)`"
    }

    private func conversion(by driver: String?) -> String {
        let words = driver.map { "-f \($0) " } ?? ""
        return "convert it: `qemu-img convert \(words)-O qcow2 \(path.shellWord) \((path + ".qcow2").shellWord)`"
    }

    private func problem(_ message: String, remedy: String, cause: String? = nil) -> Diagnostic {
        Diagnostic(.specification, message, remedy: remedy, cause: cause)
    }
}

extension String {
    /// The text quoted as one shell word.
    fileprivate var shellWord: String {
        let plain = utf8.allSatisfy { byte in
            byte > 0x7f || Unicode.Scalar(byte).properties.isAlphabetic || (0x2b...0x3a).contains(byte) || byte == 0x5f
                || byte == 0x3d || byte == 0x40
        }
        return plain && !isEmpty
            ? self : "'" + split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
    }
}
