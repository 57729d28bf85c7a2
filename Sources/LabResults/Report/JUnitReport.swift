import Quantities

/// A run as JUnit XML, in the dialect that Jenkins and Surefire share (junit-10): one suite per run, one case per task
/// and guest. A wrong result or a passed deadline is a `failure`; a guest's death or panic is an `error`.
public enum JUnitReport {
    /// The whole file, valid XML for any guest output.
    public static func xml(_ report: RunReport) -> String {
        var text = ""
        write(report, report.tasks) { text += $0 }
        return text
    }

    /// Writes the report's file with these tasks, whose counts the report has.
    static func write(_ report: RunReport, _ tasks: some Sequence<TaskResult>, to put: (String) -> Void) {
        let name = report.lab + (report.cell.map { " [\($0)]" } ?? "")
        func count(_ outcomes: Outcome...) -> Int {
            outcomes.reduce(0) { $0 + report.counts[$1.rawValue, default: 0] }
        }
        let counts: [(String, String)] = [
            ("tests", "\(report.counts.values.reduce(0, +))"), ("failures", "\(count(.failed, .timeout))"),
            ("errors", "\(count(.error, .panicked))"), ("time", fixed(report.duration, 3)),
        ]
        var xml = XMLText()
        xml.open("testsuites", [("name", "vmlab")] + counts)
        var suite = [("name", name)] + counts + [("skipped", "\(count(.skipped))")]
        if !report.started.isEmpty {
            // The schema's timestamp is a date and a time without fraction or zone.
            suite.append(("timestamp", String(report.started.prefix(19))))
        }
        if !report.host.name.isEmpty { suite.append(("hostname", report.host.name)) }
        xml.open("testsuite", suite)
        xml.open("properties")
        for (key, value) in properties(report) { xml.empty("property", [("name", key), ("value", value)]) }
        xml.close("properties")
        for task in tasks {
            add(task, of: report, to: &xml)
            put(xml.take())
        }
        xml.close("testsuite")
        xml.close("testsuites")
        put(xml.take())
    }

    private static func properties(_ report: RunReport) -> [(String, String)] {
        var all = [
            ("vmlab.version", report.version), ("vmlab.file", report.file), ("vmlab.status", report.status),
            ("host.kernel", report.host.kernel), ("host.cores", "\(report.host.cores)"),
        ]
        if let interrupted = report.interrupted { all.append(("vmlab.interrupted", interrupted)) }
        return all
    }

    private static func add(_ task: TaskResult, of report: RunReport, to xml: inout XMLText) {
        let name = task.id.label
        let suite = report.cell.map { "\(report.lab).\($0)" } ?? report.lab
        xml.open(
            "testcase",
            [("classname", "\(suite).\(task.id.guest ?? "any")"), ("name", name), ("time", fixed(task.duration, 3))])
        let message = visible(task.message ?? task.outcome.rawValue)
        let trouble = trouble(of: task)
        let console = task.consoleTail.isEmpty ? [] : ["", "console:"] + task.consoleTail.map { visible($0) }
        let details = (trouble + console).joined(separator: "\n")
        let attributes = [("type", task.outcome.rawValue), ("message", message)]
        switch task.outcome {
        case .passed: break
        case .flaky where task.earlier.isEmpty: xml.empty("flakyFailure", attributes)
        case .flaky: break
        case .failed, .timeout: xml.element("failure", attributes, message + details)
        case .panicked, .error: xml.element("error", attributes, message + details)
        case .skipped: xml.empty("skipped", [("message", message)])
        }
        for attempt in task.earlier { add(attempt, before: task, to: &xml) }
        if task.steps.isEmpty {
            // Of a task that failed it stands above.
            addOutput(of: task, with: task.outcome.isSuccess ? trouble : [], to: &xml)
        } else {
            xml.element("system-out", [], task.steps.map(Self.line).joined(separator: "\n"))
        }
        xml.close("testcase")
    }

    /// An attempt before the last one, in Surefire's form for repeated tests.
    private static func add(_ attempt: TaskResult, before last: TaskResult, to xml: inout XMLText) {
        let kind = attempt.outcome == .panicked || attempt.outcome == .error ? "Error" : "Failure"
        let name = (last.outcome.isSuccess ? "flaky" : "rerun") + kind
        let message = "attempt \(attempt.attempts): \(visible(attempt.message ?? attempt.outcome.rawValue))"
        xml.open(name, [("type", attempt.outcome.rawValue), ("message", message)])
        let place = attempt.id.guest.map { "on \($0), " } ?? ""
        let lines =
            ["\(place)\(fixed(attempt.duration, 3)) s"] + trouble(of: attempt) + attempt.consoleTail.map { visible($0) }
        xml.element("stackTrace", [], lines.joined(separator: "\n"))
        addOutput(of: attempt, to: &xml)
        xml.close(name)
    }

    private static func trouble(of task: TaskResult) -> [String] {
        task.trouble.flatMap { ["", "\($0.guest), \($0.kind):"] + $0.lines }.map { visible($0) }
    }

    private static func addOutput(of task: TaskResult, with trouble: [String] = [], to xml: inout XMLText) {
        guard !task.outputTail.isEmpty || !trouble.isEmpty else { return }
        let cut = task.outputBytes > task.outputTail.utf8.count && task.outputPath != nil
        let kept =
            task.outputDropped > 0 ? ", of which the first \(task.outputBytes - task.outputDropped) are" : ""
        let head = cut ? "[the end of \(task.outputBytes) bytes\(kept) in \(task.outputPath ?? "")]\n" : ""
        let text = visibleLines(task.outputTail).joined(separator: "\n") + trouble.joined(separator: "\n")
        xml.element("system-out", [], head + text)
    }
}

extension JUnitReport {
    /// `  0.12 s  web: succeed uname -r`, with what went wrong behind it.
    private static func line(_ step: StepResult) -> String {
        let place = step.id.place.map { " (\($0))" } ?? ""
        let trouble =
            step.outcome.isSuccess ? "" : ": \(step.outcome.rawValue)" + (step.message.map { ": \($0)" } ?? "")
        return visible(
            "\(fixed(step.duration, 2)) s  \(step.id.guest.map { "\($0): " } ?? "")\(step.id.call) \(step.id.text)\(place)\(trouble)"
        )
    }
}

/// XML being written.
struct XMLText {
    private(set) var text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
    private var depth = 0

    /// What has come since this was last called.
    mutating func take() -> String {
        defer { text = "" }
        return text
    }

    mutating func open(_ name: String, _ attributes: [(String, String)] = []) {
        text += indent + tag(name, attributes) + ">\n"
        depth += 1
    }

    mutating func close(_ name: String) {
        depth -= 1
        text += "\(indent)</\(name)>\n"
    }

    mutating func empty(_ name: String, _ attributes: [(String, String)]) {
        text += indent + tag(name, attributes) + "/>\n"
    }

    mutating func element(_ name: String, _ attributes: [(String, String)], _ content: String) {
        text += indent + tag(name, attributes) + ">" + Self.escaped(content) + "</\(name)>\n"
    }

    private var indent: String { String(repeating: "  ", count: depth) }

    private func tag(_ name: String, _ attributes: [(String, String)]) -> String {
        "<" + name + attributes.map { " \($0)=\"\(Self.escaped($1, attribute: true))\"" }.joined()
    }

    /// The text with markup escaped, and U+FFFD for what XML 1.0 cannot hold in any form.
    static func escaped(_ text: String, attribute: Bool = false) -> String {
        var escaped = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": escaped.append(contentsOf: "&amp;".unicodeScalars)
            case "<": escaped.append(contentsOf: "&lt;".unicodeScalars)
            case ">": escaped.append(contentsOf: "&gt;".unicodeScalars)
            case "\"" where attribute: escaped.append(contentsOf: "&quot;".unicodeScalars)
            case "\n" where attribute, "\t" where attribute, "\r":
                escaped.append(contentsOf: "&#\(scalar.value);".unicodeScalars)
            case "\n", "\t": escaped.append(scalar)
            case "\u{0}"..."\u{1F}", "\u{7F}"..."\u{84}", "\u{86}"..."\u{9F}", "\u{FFFE}", "\u{FFFF}":
                escaped.append("\u{FFFD}")
            default: escaped.append(scalar)
            }
        }
        return String(escaped)
    }
}
