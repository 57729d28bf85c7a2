import Foundation
import Testing

@testable import LabResults

@Suite("Trouble and cut output in results")
struct TroubleTests {
    private static func result(_ outcome: Outcome) -> TaskResult {
        TaskResult(
            id: TaskID(task: "t", guest: "lin"), outcome: outcome,
            message: outcome == .passed ? nil : "the kernel said so",
            outputBytes: 200_000_000, outputDropped: 132_891_136, outputTail: "the end\n",
            trouble: [
                GuestTrouble(
                    guest: "lin", kind: "kasan", message: "BUG: KASAN: <use-after-free>",
                    lines: ["before", "[ 1.0] BUG: KASAN: <use-after-free>", "RIP: 0010:foo"])
            ], outputPath: "tasks/t/lin/output")
    }

    private static func report(_ outcome: Outcome) -> RunReport {
        var builder = RunReportBuilder()
        builder.receive(
            RecordedEvent(sequence: 1, elapsed: 1, time: ManualClock.start, event: .taskFinished(result(outcome))))
        return builder.report
    }

    @Test(
        "A4: JUnit has the trace, in the failure or in the output of what passed", arguments: [Outcome.failed, .passed])
    func junit(_ outcome: Outcome) {
        let xml = JUnitReport.xml(Self.report(outcome))
        let part = outcome == .passed ? "<system-out>" : "<failure"
        let trace = "lin, kasan:\nbefore\n[ 1.0] BUG: KASAN: &lt;use-after-free&gt;\nRIP: 0010:foo"
        #expect(xml.split(separator: part).last?.contains(trace) == true)
        #expect(xml.contains("[the end of 200000000 bytes, of which the first 67108864 are in tasks/t/lin/output]"))
    }

    @Test("A4, S17: results.json has both, and reads back")
    func json() {
        let text = String(decoding: Self.report(.failed).text, as: UTF8.self)
        #expect(text.contains("\"kind\" : \"kasan\""))
        #expect(text.contains("\"outputDropped\" : 132891136"))
        #expect(Self.report(.failed).tasks.first?.trouble == Self.result(.failed).trouble)
    }

    @Test("A4, S17: events have both, and a killed run's results are made from them")
    func events() throws {
        try withFolder { folder in
            let directory = try RunDirectory.create(lab: "x", out: folder + "/out")
            let collected = Collected()
            let events = JSONLinesSink(collected.stream)
            let start = RunDescription(
                lab: "x", cell: nil, file: "x.yaml", host: HostDescription(name: "h", kernel: "6", cores: 1, memory: 1),
                guests: [], tasks: [], version: "1")
            play([events], [(0, .runStarted(start)), (1, .taskFinished(Self.result(.failed)))])
            try collected.text.write(toFile: directory.absolute(RunDirectory.events), atomically: true, encoding: .utf8)
            let report = try ResultsFile.load(directory.path)
            #expect(report.tasks.first?.trouble == Self.result(.failed).trouble)
            #expect(report.tasks.first?.outputDropped == 132_891_136)
        }
    }

    @Test("A4, S17: people see the trace, and how much was kept")
    func told() {
        var formatter = EventFormatter(.results, style: .plain, directory: nil)
        let lines = formatter.tell(
            RecordedEvent(sequence: 1, elapsed: 1, time: 0, event: .taskFinished(Self.result(.failed))))
        #expect(lines.contains { $0.contains("RIP: 0010:foo") })
        #expect(lines.first?.contains("of 190.7MiB of output the first 64MiB are kept") == true)
    }
}
