import Diagnostics
import JSON
import YAMLTree

/// `matrix:` as written: axes with their values, and what to add and leave out.
struct Matrix: Sendable {
    /// A value of the matrix: its text, and how it was written (a quoted `"5"` stays a text).
    struct Value: Sendable {
        var scalar: YAMLScalar
        var span: SourceSpan
        /// Where its axis is written, in a row.
        var keySpan: SourceSpan?
    }

    typealias Row = [(axis: String, value: Value)]

    let span: SourceSpan
    var axes: [Named<[Value]>] = []
    var include: [Row] = []
    var exclude: [Row] = []

    /// Every name that `${{ matrix.… }}` may use.
    var names: [String] {
        var seen: Set<String> = []
        return (axes.map(\.name) + include.flatMap { $0.map(\.axis) }).filter { seen.insert($0).inserted }
    }

    private static let value = Form<Value>(
        schema: ["type": ["string", "number", "boolean"]], noun: "a string, a number or a boolean"
    ) { node, decoding in
        guard let scalar = node.scalar, !node.isNull else {
            return decoding.wrongKind(node, wanted: "a string, a number or a boolean")
        }
        guard !scalar.text.contains(where: \.isNewline), !node.isUnresolved else {
            return decoding.refuse("a value of the matrix must be one line without `${{`", at: node.span)
        }
        guard scalar.text.utf8.count <= Limits.matrixValue else {
            return decoding.refuse(
                "a value of the matrix is longer than \(Limits.matrixValue) characters", at: node.span)
        }
        return Value(scalar: scalar, span: node.span)
    }

    private static let row = Form<[Named<Value>]>.named(value).map { entries -> Row in
        entries.map { entry in
            var value = entry.value
            value.keySpan = entry.nameSpan
            return (entry.name, value)
        }
    }

    /// A map of axes, with the keys `include` and `exclude` apart.
    static let form: Form<Matrix> = {
        let values = Form<[Value]>.listOrOne(of: value)
        let rows = Form<[Row]>.list(of: row, allowEmpty: true)
        let schema: JSONValue = [
            "type": "object", "minProperties": 1,
            "properties": [
                "include": rows.schema.adding("description", "Cells to add, or values to add to cells that match."),
                "exclude": rows.schema.adding("description", "Combinations to leave out."),
            ],
            "additionalProperties": values.schema, "propertyNames": ["pattern": .string(Names.schemaPattern)],
        ]
        return Form(schema: schema, noun: "a map of axes") { node, decoding in
            guard let entries = node.entries, !entries.isEmpty else {
                return decoding.wrongKind(node, wanted: "a map of axes", remedy: "write `matrix: {kernel: [6.1, 6.6]}`")
            }
            var matrix = Matrix(span: node.span.firstCharacter)
            for entry in entries {
                decoding.under(entry.key) {
                    switch entry.key {
                    case "include": matrix.include = rows.decode(entry.value, decoding) ?? []
                    case "exclude": matrix.exclude = rows.decode(entry.value, decoding) ?? []
                    default:
                        guard Names.check(entry.key, what: "the axis", at: entry.keySpan, decoding) else { return }
                        let axis = values.decode(entry.value, decoding) ?? []
                        matrix.axes.append(Named(name: entry.key, nameSpan: entry.keySpan, value: axis))
                    }
                }
            }
            return matrix
        }
    }()

    /// The cells: every combination of the axes' values without the excluded ones, then `include` as GitHub Actions
    /// has it: an entry is added to each combination whose own values it does not change, else it is a cell of its own.
    func cells(_ decoding: Decoding) -> [Row] {
        checkAxes(decoding)
        let product = axes.reduce(1) { count, axis in
            count.multipliedReportingOverflow(by: axis.value.count).overflow ? .max : count * axis.value.count
        }
        guard product <= Limits.cells, product + include.count <= Limits.cells else {
            decoding.error(
                "the matrix has more than \(Limits.cells) cells", remedy: "use fewer axes or values", at: span)
            return []
        }
        var cells: [Row] = axes.isEmpty ? [] : [[]]
        for axis in axes {
            cells = cells.flatMap { cell in axis.value.map { cell + [(axis.name, $0)] } }
        }
        warnOfIdle(exclude, cells, decoding)
        cells.removeAll { cell in exclude.contains { Self.matches($0, cell) } }

        let original = Set(axes.map(\.name))
        let combinations = cells.count
        for row in include {
            var extended = false
            let own = row.filter { original.contains($0.axis) }
            for index in 0..<combinations where Self.matches(own, cells[index]) {
                extended = true
                for (axis, value) in row where !original.contains(axis) {
                    if let place = cells[index].firstIndex(where: { $0.axis == axis }) {
                        cells[index][place].value = value
                    } else {
                        cells[index].append((axis, value))
                    }
                }
            }
            if !extended {
                warnOfGaps(row, own, decoding)
                cells.append(row)
            }
        }
        if cells.isEmpty, !decoding.hasErrors {
            decoding.error("the matrix has no cells", remedy: "name an axis with values, and exclude fewer", at: span)
        }
        return cells
    }

    private static func matches(_ row: Row, _ cell: Row) -> Bool {
        row.allSatisfy { part in
            cell.contains { $0.axis == part.axis && $0.value.scalar.text == part.value.scalar.text }
        }
    }

    private func checkAxes(_ decoding: Decoding) {
        for axis in axes {
            var seen: Set<String> = []
            for value in axis.value where !seen.insert(value.scalar.text).inserted {
                decoding.error(
                    "the axis \(axis.name.quoted()) has \(value.scalar.text.quoted()) twice", remedy: "keep one",
                    at: value.span)
            }
        }
        for row in exclude {
            for (name, value) in row where !axes.contains(where: { $0.name == name }) {
                decoding.error(
                    "`exclude` names \(name.quoted()), which is not an axis",
                    remedy: decoding.didYouMean(name, axes.map(\.name)) ?? "axes: \(axes.map(\.name).listed)",
                    at: value.keySpan ?? value.span)
            }
        }
        for row in include {
            for (name, value) in row where !axes.contains(where: { $0.name == name }) {
                guard let axis = decoding.didYouMean(name, axes.map(\.name)) else { continue }
                decoding.warning(
                    "`include` adds \(name.quoted()), which is not an axis", remedy: axis,
                    at: value.keySpan ?? value.span)
            }
        }
    }

    /// Warns of exclusions that leave nothing out.
    private func warnOfIdle(_ rows: [Row], _ cells: [Row], _ decoding: Decoding) {
        guard !decoding.hasErrors else { return }
        for row in rows where !cells.contains(where: { Self.matches(row, $0) }) {
            // Most often a value that the axis does not have.
            let odd = row.first { part in
                let axis = axes.first { $0.name == part.axis }
                return axis.map { !$0.value.contains { $0.scalar.text == part.value.scalar.text } } ?? false
            }
            let values = odd.flatMap { odd in axes.first { $0.name == odd.axis } }?.value.map(\.scalar.text) ?? []
            decoding.warning(
                odd.map {
                    "`exclude` has no effect: the axis \($0.axis.quoted()) has no value \($0.value.scalar.text.quoted())"
                } ?? "`exclude` has no effect: no combination is like this",
                remedy: odd.map { decoding.didYouMean($0.value.scalar.text, values) ?? "it has \(values.listed)" },
                at: odd?.value.span ?? row.first?.value.keySpan)
        }
    }

    /// Warns of an entry of `include` that matches no combination and becomes a cell of its own without all axes.
    private func warnOfGaps(_ row: Row, _ own: Row, _ decoding: Decoding) {
        let missing = axes.map(\.name).filter { axis in !row.contains { $0.axis == axis } }
        guard !missing.isEmpty, !own.isEmpty, !decoding.hasErrors else { return }
        decoding.warning(
            "`include` matches no combination: it would make a cell without \(missing.map { $0.quoted() }.listed)",
            remedy: "name every axis for a cell of its own", at: row.first?.value.keySpan)
    }
}

extension MatrixCell {
    /// The cells of a matrix that was written in another language and made into a tree: axes and values, in order.
    public static func cells(of matrix: YAMLNode) throws(DiagnosticList) -> [MatrixCell] {
        let decoding = Decoding()
        let cells = decoding.under("matrix") { Matrix.form.decode(matrix, decoding) }?.cells(decoding) ?? []
        let found = DiagnosticList(decoding.diagnostics)
        if found.hasErrors { throw found }
        return cells.map { MatrixCell(values: $0.map { ($0.axis, $0.value.scalar.text) }) }
    }
}
