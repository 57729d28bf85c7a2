import Diagnostics
import Logging

/// Which log records are written: for each label, those of a level or graver.
public struct LogSelection: Sendable, Hashable {
    /// The labels of the targets that log.
    public static let labels = [
        "vmlab.commands", "vmlab.console", "vmlab.guests", "vmlab.images", "vmlab.machines", "vmlab.resources",
        "vmlab.runner", "vmlab.scripting",
    ]

    /// Of labels without a level of their own; nil where nothing of them is written.
    private var common: Logger.Level?
    private var own: [String: Logger.Level] = [:]

    /// Nothing is written.
    public init() {}

    /// Reads words separated by commas: a level, such as `debug`, for all labels, and `label=level` for one. The last word about
    /// the same thing counts. `source` is where the text is from, such as `--log-level`. Throws what is wrong with it.
    public init(parsing text: String, of source: String) throws(Diagnostic) {
        for word in text.split(separator: ",", omittingEmptySubsequences: false) {
            let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let level = try Self.level(parts.last ?? "", in: source)
            guard parts.count == 2, let label = parts.first.map(String.init) else {
                common = level
                continue
            }
            guard Self.labels.contains(label) else {
                throw Diagnostic(
                    .specification, "\(source): nothing logs under the label \(label.quoted())",
                    remedy: didYouMean(label, Self.labels) ?? "labels are \(Self.labels.joined(separator: ", "))")
            }
            own[label] = level
        }
    }

    private static func level(_ name: Substring, in source: String) throws(Diagnostic) -> Logger.Level {
        if let level = Logger.Level(rawValue: String(name)) { return level }
        let levels = Logger.Level.allCases.map(\.rawValue)
        let meant = didYouMean(String(name), levels).map { "\($0) " } ?? ""
        throw Diagnostic(
            .specification, "\(source): there is no log level \(String(name).quoted())",
            remedy:
                "\(meant)levels are \(levels.joined(separator: ", ")); `vmlab.machines=trace` sets that of one label")
    }

    /// Whether nothing is written.
    public var isEmpty: Bool { common == nil && own.isEmpty }

    /// The least grave level that is written of a label; nil for nothing.
    public func level(of label: String) -> Logger.Level? { own[label] ?? common }
}
