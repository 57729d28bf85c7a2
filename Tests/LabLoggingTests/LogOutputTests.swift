import HostSystem
import LabResults
import Logging
import Synchronization
import Testing

@testable import LabLogging

@Suite("Lines of the log", .timeLimit(.minutes(1)))
struct LogOutputTests {
    /// What was written.
    private final class Page: Sendable {
        private let lines = Mutex<[String]>([])
        var text: String { lines.withLock { $0.joined() } }
        func write(_ text: String) { lines.withLock { $0.append(text) } }
    }

    private static let clock = RunClock(monotonic: { 0 }, wall: { 0 })

    /// What a logger at this level leaves.
    private func written(_ level: Logger.Level?, _ body: (inout Logger) -> Void) throws -> String {
        let page = Page()
        let output = try LogOutput(TextStream { page.write($0) }, clock: Self.clock)
        var log = Logger(label: "vmlab.runner") { output.handler(label: $0, level: level) }
        body(&log)
        output.finish(patience: .seconds(30))
        return page.text
    }

    @Test("A record is one line: time, level, label, message, and metadata with the guest first")
    func line() throws {
        let text = try written(.debug) { log in
            log[metadataKey: "guest"] = "lin-1"
            log.debug("process started", metadata: ["program": "qemu", "pid": "17", "after": "1.5 s", "empty": ""])
        }
        #expect(
            text
                == "   0.000 debug vmlab.runner: process started guest=lin-1 after=\"1.5 s\" empty=\"\" pid=17 program=qemu\n"
        )
        #expect(
            LogLine.text(elapsed: 12345.6789, level: .info, label: "vmlab.images", message: "m", metadata: [:])
                == "12345.679 info vmlab.images: m")
    }

    @Test("What is not graver than the level is not written, and its text is not even made")
    func level() throws {
        let made = Mutex(0)
        func message(_ text: String) -> Logger.Message {
            made.withLock { $0 += 1 }
            return "\(text)"
        }
        let text = try written(.info) { log in
            log.debug(message("no"))
            log.info(message("yes"))
            log.error(message("too"))
        }
        #expect(text == "   0.000 info vmlab.runner: yes\n   0.000 error vmlab.runner: too\n")
        #expect(try written(nil) { $0.debug(message("nothing")) } == "")
        #expect(made.withLock { $0 } == 2)
    }

    @Test("What a guest says cannot garble a terminal, begin a line or fill the log")
    func hostile() throws {
        let text = try written(.debug) { log in
            log.debug(
                "it said \u{1B}[2J\nand \u{202E}",
                metadata: ["said": "a=b\n\"c\"\u{7}", "long": "\(String(repeating: "é", count: 5000))"])
            log.debug("\(String(repeating: "m", count: 5000))")
        }
        let lines = text.split(separator: "\n")
        #expect(lines.count == 2)
        #expect(lines[0].contains(#"it said \u{1B}[2J\nand \u{202E}"#))
        #expect(lines[0].contains(#"said="a=b\n\"c\"\u{7}""#))
        #expect(lines[0].contains("long=\(String(repeating: "é", count: 200))… "))
        #expect(lines[1].hasSuffix("\(String(repeating: "m", count: 1000))…") && lines[1].count < 1100)
    }

    @Test("A reader that stands still stops nobody, and the next line says how many are left out")
    func standingStill() throws {
        let page = Page()
        let isReading = Monitor(false)
        let output = try LogOutput(
            TextStream { text in
                isReading.wait { $0 ? () : nil }
                page.write(text)
            }, limit: 1000, clock: Self.clock)
        let log = Logger(label: "vmlab.runner") { output.handler(label: $0, level: .debug) }
        for number in 1...1000 { log.debug("\(number)") }
        #expect(page.text == "")
        isReading.withLock { $0 = true }
        output.finish(patience: .seconds(30))
        let lines = page.text.split(separator: "\n")
        #expect(lines.first == "   0.000 debug vmlab.runner: 1")
        let told = lines.filter { !$0.hasPrefix("(") }
        #expect(told.count < 30)
        // The writer may have taken a few before the reader stood still for good, and there are two gaps then.
        let missing = lines.filter { $0.hasSuffix(" lines left out here: the reader was too slow)") }
        let counts = missing.compactMap { Int($0.dropFirst().prefix { $0.isNumber }) }
        #expect(counts.reduce(0, +) == 1000 - told.count, "\(lines)")
    }
}
