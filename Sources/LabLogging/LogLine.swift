import Diagnostics
import LabResults
import Logging
import Quantities

/// How a log record looks: seconds since the program's start, level, label, message, and metadata as `key=value`.
enum LogLine {
    /// The most characters of a message. At `trace`, whole lines of a machine's protocol are messages.
    private static let longestMessage = 1000
    /// The most characters of a metadata value.
    private static let longestValue = 200

    /// A line without its end, in which guests' control characters are visible and what is long is cut.
    static func text(
        elapsed: Double, level: Logger.Level, label: String, message: String, metadata: Logger.Metadata
    ) -> String {
        let time = fixed(elapsed, 3)
        let head = String(repeating: " ", count: max(0, 8 - time.count)) + time
        let words = metadata.sorted { rank($0.key) < rank($1.key) }.map { " \($0.key)=\(value($0.value))" }
        return "\(head) \(level) \(label): \(cut(message, to: longestMessage))" + words.joined()
    }

    /// The guest first: it is what one looks for.
    private static func rank(_ key: String) -> (Int, String) { (key == "guest" ? 0 : 1, key) }

    /// In quotes where its end could not be seen without.
    private static func value(_ value: Logger.MetadataValue) -> String {
        let text = cut("\(value)", to: longestValue)
        let isPlain = !text.isEmpty && !text.contains { $0 == " " || $0 == "\"" || $0 == "=" }
        return isPlain ? text : "\"" + text.replacing("\"", with: "\\\"") + "\""
    }

    private static func cut(_ text: String, to limit: Int) -> String {
        let head = text.prefix(limit)
        return head.escapingControls() + (head.endIndex < text.endIndex ? "…" : "")
    }
}
