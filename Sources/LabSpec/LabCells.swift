import Diagnostics
import YAMLTree

/// Decodes a tree once for each cell of its matrix.
struct LabCells {
    let root: YAMLNode
    let source: SourceFile
    let catalog: Set<String>
    let paths: HostPaths
    var form = LabDraft.form

    /// The labs in the order of the cells. An error in every cell is reported once, one in some cells names them first.
    func labs(_ decoding: Decoding) -> [Lab] {
        guard let matrixNode = root["matrix"], let entries = root.entries else {
            return decode([nil], names: [], root, decoding)
        }
        var rest = root
        rest.content = .mapping(entries.filter { $0.key != "matrix" })

        let own = Decoding()
        let matrix = own.under("matrix") { Matrix.form.decode(matrixNode, own) }
        let cells = matrix?.cells(own) ?? []
        let weight = rest.weight
        if weight.values * cells.count > Limits.filled.values
            || weight.expressions * cells.count > Limits.filled.expressions
        {
            own.error(
                "the lab is too large for a matrix of \(cells.count) cells", remedy: "split the lab or the matrix",
                at: entries.first { $0.key == "matrix" }?.keySpan)
        }
        for diagnostic in own.diagnostics { decoding.report(diagnostic) }
        // With a broken matrix the rest is still looked at, its expressions left alone.
        if own.hasErrors { return decode([nil], names: nil, rest, decoding) }
        return decode(cells, names: matrix?.names ?? [], rest, decoding)
    }

    private func decode(_ cells: [Matrix.Row?], names: [String]?, _ tree: YAMLNode, _ decoding: Decoding) -> [Lab] {
        var labs: [Lab] = []
        var findings = Findings()
        var seenIDs: Set<String> = []
        var runs = 0
        var guests = 0
        for cell in cells {
            let own = Decoding()
            let values = cell.map { Dictionary($0.map { ($0.axis, $0.value.scalar) }) { first, _ in first } } ?? [:]
            let substitution = Substitution(values: values, names: names ?? [], isBlind: names == nil)
            let filled = substitution.filled(tree, own)
            let id = cell.map { row in
                MatrixCell(
                    values: row.map { ($0.axis, $0.value.scalar.text) },
                    quoted: Set(row.filter { !$0.value.scalar.isPlain }.map(\.axis)))
            }
            if let id, !seenIDs.insert(id.id).inserted {
                own.error(
                    "the matrix has the cell \(id.id.quoted()) twice", remedy: "keep one", at: cell?.first?.value.span)
            }
            if let draft = form.decode(filled, own) {
                let builder = LabBuilder(draft: draft, root: filled, catalog: catalog, paths: paths, decoding: own)
                let lab = builder.lab(source: source, cell: id)
                let before = runs
                runs = lab.tasks.reduce(runs) { $0.addingReportingOverflow($1.runs).partialValue }
                if before <= Limits.runs, runs > Limits.runs {
                    own.error(
                        "the tasks have \(runs) runs in total; at most \(Limits.runs) are allowed",
                        remedy: "lower `repeat`, `count` or the matrix", at: draft.place.keys["tasks"]?.firstCharacter)
                }
                guests += lab.groups.reduce(0) { $0 + ($1.count ?? 1) }
                labs.append(lab)
            }
            if guests > Limits.guestsOfCells {
                own.error(
                    "the cells of the matrix have more than \(Limits.guestsOfCells) guests",
                    remedy: "lower `count` or the matrix", at: cell?.first?.value.span)
            }
            findings.add(own.diagnostics, cell: id)
            if guests > Limits.guestsOfCells { break }
        }
        findings.report(cells: cells.count, decoding)
        return labs
    }

    /// Diagnostics of all cells, each once.
    private struct Findings {
        private var order: [Diagnostic] = []
        private var cells: [Key: (count: Int, first: MatrixCell?)] = [:]

        /// What makes two findings the same one.
        private struct Key: Hashable {
            let message: String
            let start: SourcePosition?

            init(_ diagnostic: Diagnostic) {
                message = diagnostic.message
                start = diagnostic.span?.start
            }
        }

        mutating func add(_ diagnostics: [Diagnostic], cell: MatrixCell?) {
            var inThisCell: Set<Key> = []
            for diagnostic in diagnostics where inThisCell.insert(Key(diagnostic)).inserted {
                if cells[Key(diagnostic)] == nil { order.append(diagnostic) }
                cells[Key(diagnostic), default: (0, cell)].count += 1
            }
        }

        /// Reports each finding, with the cells it is in unless that is all; what only some cells leave unused is used.
        func report(cells total: Int, _ decoding: Decoding) {
            for var diagnostic in order {
                if let found = cells[Key(diagnostic)], found.count < total, let first = found.first {
                    if diagnostic.severity == .warning { continue }
                    let more = found.count > 1 ? " and \(found.count - 1) more" : ""
                    diagnostic.notes.append("in the matrix cell \(first.id)\(more)")
                }
                decoding.report(diagnostic)
            }
        }
    }
}

extension LabTask {
    /// How often it runs in all.
    public var runs: Int {
        let once = targets.reduce(0) { count, target in
            switch target {
            case .every(let guests): count + guests.count
            case .any: count + 1
            }
        }
        // Guests and repetitions are bounded, so this fits.
        return once * repetitions
    }
}

extension SourceSpan {
    /// Its first character alone, for a place in a long stretch.
    var firstCharacter: SourceSpan {
        SourceSpan(file: file, line: start.line, columns: start.column..<(start.column + 1))
    }
}
