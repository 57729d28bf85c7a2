// LabSpec: the language of lab files. A text becomes a tree (YAMLTree), `--set` changes it, each cell of the matrix is
// filled in, `LabDraft.shape` decodes it, and `LabBuilder` makes checked `Lab`s. `Model/` holds the values.

import Diagnostics
import HostSystem
import YAMLTree

/// A lab file, decoded and checked.
public struct LabFile: Sendable {
    /// One lab for each cell of the matrix, in order; exactly one without a matrix.
    public var labs: [Lab]
    /// Warnings, in source order.
    public var warnings: [Diagnostic]

    /// Decodes and checks a lab. Relative host paths start from `directory`; `settings` (`--set`) change the text's
    /// tree before it is decoded; `catalog` has the names of images that need no declaration; `access` is what of the host's
    /// files the lab may name besides those at or below its folder.
    ///
    /// Looks at the files that the lab names (do they exist, can they be read) but opens none. `checking` adds what else is
    /// wrong with each lab, as far as it could be decoded: whether it fits the host is for others to know.
    ///
    /// - Throws: every error found, with the warnings, in reading order.
    public static func parse(
        _ source: SourceFile, directory: String, settings: [(key: String, value: String)] = [],
        catalog: Set<String>, access: HostAccess = .everything,
        checking: (Lab) -> [Diagnostic] = { _ in [] }
    ) throws(DiagnosticList) -> LabFile {
        let decoding = Decoding()
        let document = YAMLDocument.parse(source)
        for problem in document.problems { decoding.report(problem) }
        guard var root = document.root, !root.isNull else {
            if document.problems.isEmpty { decoding.report(empty(source)) }
            throw DiagnosticList(decoding.diagnostics)
        }
        // What is the author's own is neither filled in nor checked: where it is used from, it is.
        if let entries = root.entries { root.content = .mapping(entries.filter { !$0.key.isAuthorsOwn }) }
        for setting in settings { Settings.apply(setting, to: &root, decoding) }

        let paths = HostPaths(directory: directory, access: access)
        let cells = LabCells(root: root, source: source, catalog: catalog, paths: paths)
        return try checked(cells, decoding, checking: checking)
    }

    /// Decodes and checks a fleet, a lab without tasks and matrix, that was written in another language and made into a
    /// tree. The lab's name is for the caller to fill in.
    ///
    /// - Throws: as `parse`.
    public static func fleet(
        _ root: YAMLNode, source: SourceFile, directory: String, catalog: Set<String>,
        access: HostAccess = .everything, checking: (Lab) -> [Diagnostic] = { _ in [] }
    ) throws(DiagnosticList) -> Lab {
        let paths = HostPaths(directory: directory, access: access)
        let cells = LabCells(root: root, source: source, catalog: catalog, paths: paths, form: LabDraft.fleet)
        let file = try checked(cells, Decoding(), checking: checking)
        guard let lab = file.labs.first else { throw DiagnosticList([empty(source)]) }
        return lab
    }

    private static func checked(
        _ cells: LabCells, _ decoding: Decoding, checking: (Lab) -> [Diagnostic]
    ) throws(DiagnosticList) -> LabFile {
        let source = cells.source
        let labs = cells.labs(decoding)
        // A place that is wrong already needs no second opinion.
        let places = Set(decoding.diagnostics.compactMap { $0.severity == .error ? $0.span?.start : nil })
        for lab in labs {
            for problem in checking(lab) where problem.span.map({ !places.contains($0.start) }) ?? true {
                decoding.report(problem)
            }
        }
        // Reading order: the file, then the settings.
        let inFile = decoding.diagnostics.filter { $0.span?.file.path == source.path }
        let elsewhere = decoding.diagnostics.filter { $0.span?.file.path != source.path }
        let sorted = DiagnosticList(DiagnosticList(inFile + elsewhere).sorted)
        if sorted.hasErrors { throw sorted }
        return LabFile(labs: labs, warnings: sorted.all)
    }

    /// Reads and decodes the lab file at `path`; see ``parse(_:directory:settings:catalog:checking:)``.
    ///
    /// - Throws: also when the file cannot be read or is not UTF-8.
    public static func load(
        path: String, settings: [(key: String, value: String)] = [], catalog: Set<String>,
        access: HostAccess = .everything, checking: (Lab) -> [Diagnostic] = { _ in [] }
    ) throws(DiagnosticList) -> LabFile {
        let source: SourceFile
        do {
            let limits = YAMLLimits()
            let bytes = try TextFile.bytes(path, limit: limits.bytes)
            source = try YAMLDocument.source(path: path, bytes: bytes, limits: limits)
        } catch {
            throw DiagnosticList([error])
        }
        return try parse(
            source, directory: FilePath.folder(of: path), settings: settings, catalog: catalog, access: access,
            checking: checking)
    }

    private static func empty(_ source: SourceFile) -> Diagnostic {
        Diagnostic(
            .specification, "the lab is empty",
            remedy:
                "begin with `lab: name`, `guests: {vm: {image: debian}}` and `tasks: [{name: hello, run: uname -a}]`",
            at: SourceSpan(file: source, line: 1, columns: 1..<1))
    }
}
