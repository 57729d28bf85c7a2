import Diagnostics
import Logging
import Testing

@testable import LabLogging

@Suite("Which log records are written", .timeLimit(.minutes(1)))
struct LogSelectionTests {
    @Test("A level is of all labels, a word with a label of that one, and the last word counts")
    func words() throws {
        let selection = try LogSelection(parsing: "info,vmlab.machines=trace", of: "VMLAB_LOG")
        #expect(selection.level(of: "vmlab.runner") == .info && selection.level(of: "vmlab.machines") == .trace)
        let single = try LogSelection(parsing: "vmlab.console=debug", of: "VMLAB_LOG")
        #expect(single.level(of: "vmlab.console") == .debug && single.level(of: "vmlab.runner") == nil)
        let last = try LogSelection(parsing: "vmlab.console=debug,trace,info,vmlab.console=error", of: "VMLAB_LOG")
        #expect(last.level(of: "vmlab.console") == .error && last.level(of: "vmlab.images") == .info)
        #expect(!last.isEmpty && LogSelection().isEmpty && LogSelection().level(of: "vmlab.runner") == nil)
    }

    @Test(
        "A wrong word is told with what would be right",
        arguments: [
            ("debgu", "there is no log level `debgu`", "did you mean `debug`?"),
            ("", "there is no log level ``", "levels are trace, debug, info, notice, warning, error, critical"),
            ("info,", "there is no log level ``", "levels are"),
            ("vmlab.runner=", "there is no log level ``", "`vmlab.machines=trace` sets that of one label"),
            ("vmlab.runner=x=y", "there is no log level `x=y`", "levels are"),
            ("DEBUG", "there is no log level `DEBUG`", "did you mean `debug`?"),
            ("vmlab.machine=trace", "under the label `vmlab.machine`", "did you mean `vmlab.machines`?"),
            ("=debug", "under the label ``", "labels are vmlab.commands, vmlab.console"),
            ("a\u{1B}[31m", "there is no log level `a\\u{1B}[31m`", "levels are"),
        ])
    func wrong(_ text: String, _ message: String, _ remedy: String) {
        #expect {
            _ = try LogSelection(parsing: text, of: "--log-level")
        } throws: { error in
            let problem = error as? Diagnostic
            return problem?.category == .specification && problem?.message.hasPrefix("--log-level: ") == true
                && problem?.message.contains(message) == true && problem?.remedy?.contains(remedy) == true
        }
    }
}
