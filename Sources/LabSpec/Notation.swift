import Diagnostics
import Patterns
import Quantities
import YAMLTree

/// The lab language's way of writing single values, for other languages that take them.
public enum Notation {
    /// Why a text is no such value.
    public struct Refusal: Error, Sendable, Hashable, CustomStringConvertible {
        /// The end of a sentence that begins with what the value is for, and the remedy.
        public var description: String
    }

    /// A duration such as `90s`, `5m` or `1h30m`.
    public static func duration(_ text: String) throws(Refusal) -> Duration {
        do throws(Quantity.Refusal) { return try Quantity.duration(text) } catch { throw Refusal(error) }
    }

    /// A size such as `512MiB`.
    public static func size(_ text: String) throws(Refusal) -> ByteCount {
        do throws(Quantity.Refusal) { return try Quantity.size(text) } catch { throw Refusal(error) }
    }

    /// A regular expression.
    public static func pattern(_ text: String) throws(Refusal) -> Pattern {
        do throws(PatternProblem) {
            return try Pattern(text)
        } catch {
            throw Refusal(description: "is not a regular expression: \(text.quoted()) (\(error))")
        }
    }

    /// The cells of a matrix that was written in another language and made into a tree: axes and values, in order.
    public static func cells(_ matrix: YAMLNode) throws(DiagnosticList) -> [MatrixCell] {
        let decoding = Decoding()
        let cells = decoding.under("matrix") { Matrix.form.decode(matrix, decoding) }?.cells(decoding) ?? []
        let found = DiagnosticList(decoding.diagnostics)
        if found.hasErrors { throw found }
        return cells.map { MatrixCell(values: $0.map { ($0.axis, $0.value.scalar.text) }) }
    }
}

extension Notation.Refusal {
    fileprivate init(_ refusal: Quantity.Refusal) {
        description = refusal.message + (refusal.remedy.map { " (\($0))" } ?? "")
    }
}
