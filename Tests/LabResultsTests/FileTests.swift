import Diagnostics
import Foundation
import Glibc
import HostSystem
import Quantities
import Testing

@testable import LabResults

@Suite struct FileTests {
    @Test func twoRunsInOneSecondGetTwoDirectories() throws {
        try withFolder { folder in
            let root = "\(folder)/deep/results"
            let one = try RunDirectory.create(lab: "quick", under: root, time: 0)
            let two = try RunDirectory.create(lab: "quick", under: root, time: 0)
            #expect(two.path == one.path + "-2")
            #expect(one.path.hasPrefix("\(root)/quick-19"))
            let latest = try FileManager.default.destinationOfSymbolicLink(atPath: "\(root)/latest")
            #expect("\(root)/\(latest)" == two.path)
        }
    }

    @Test func outIsRefusedWhereItCouldDoDamage() throws {
        try withFolder { folder in
            let mine = "\(folder)/mine"
            try FileManager.default.createDirectory(atPath: mine, withIntermediateDirectories: true)
            try Data("precious".utf8).write(to: URL(filePath: "\(mine)/results.json"))
            let refusal = #expect(throws: Diagnostic.self) { try RunDirectory.create(lab: "l", out: mine) }
            #expect(refusal?.remedy?.contains("--out") == true)
            #expect(try text("\(mine)/results.json") == "precious")
            #expect(throws: Diagnostic.self) { try RunDirectory.create(lab: "l", out: "\(mine)/results.json") }
        }
    }

    @Test func outMayBeAnEarlierRunsResultsOnceItHasEnded() throws {
        try withFolder { folder in
            let out = "\(folder)/out"
            do {
                let first = try RunDirectory.create(lab: "l", out: out)
                let cell = try first.part("fs=ext4")
                #expect(cell.path == "\(out)/fs=ext4")
                try first.outputWriter(TaskID(task: "t", guest: "g")).close()
                // A guest's file, whose name need not be UTF-8.
                let artifacts = try first.artifacts(TaskID(task: "t", guest: "g"))
                _ = try artifacts.open(RelativePath(names: [[0xff, 0x61]]), O_WRONLY | O_CREAT)
                try Data("keep".utf8).write(to: URL(filePath: "\(out)/notes.txt"))
                let refusal = #expect(throws: Diagnostic.self) { try RunDirectory.create(lab: "l", out: out) }
                #expect(refusal?.message.contains("another run") == true)
            }
            let second = try RunDirectory.create(lab: "l", out: out)
            let left = try FileManager.default.contentsOfDirectory(atPath: second.path)
            #expect(Set(left) == [".vmlab-results", "notes.txt"])
        }
    }

    @Test("A1: each of several files has a folder name of its own, from its file")
    func foldersOfFiles() {
        let files = [
            "a.yaml", "x/lab.yaml", "y/./lab.yml", "x/lab.lua", "b/a.lua", "a-2.yaml", "lab.yaml", ".yaml", "/",
        ]
        #expect(folderNames(ofFiles: files) == ["a", "x", "y", "x-2", "a-2", "a-2-2", "lab", ".yaml", "/"])
        let many = folderNames(ofFiles: Array(repeating: "a.yaml", count: 1000))
        #expect(many.first == "a" && many.last == "a-1000" && Set(many).count == 1000)
        #expect(folderNames(ofFiles: []) == [])
    }

    @Test func aPlaceThatCannotBeWrittenIsTold() {
        let failure = #expect(throws: Diagnostic.self) {
            try RunDirectory.create(lab: "l", under: "/proc/none/results")
        }
        #expect(failure?.category == .host)
        #expect(failure?.message.contains("/proc/none") == true)
        #expect(failure?.remedy?.contains("--out") == true)
    }

    @Test func layout() throws {
        #expect(RunDirectory.consoleLog("lin-1") == "guests/lin-1/console.log")
        #expect(RunDirectory.taskOutput(TaskID(task: "kernel", guest: "lin-1")) == "tasks/kernel/lin-1/output")
        let seventh = TaskID(task: "shard", guest: "lin-1", index: 7, repetitions: 9)
        #expect(RunDirectory.taskOutput(seventh) == "tasks/shard/lin-1/7/output")
        #expect(RunDirectory.artifacts(seventh) == "tasks/shard/lin-1/7/artifacts")
    }

    @Test func namesAreSafeAndNeverShared() {
        let names = [
            "kernel=6.1,fs=ext4", "a/b", "a_b", "a b", "..", ".", "", "../../etc/passwd", "-rf", "été", "e\u{301}te",
            "nul\u{0}", "new\nline", String(repeating: "x", count: 300), String(repeating: "x", count: 301), "日本",
        ]
        let safe = names.map(safeFileName)
        #expect(Set(safe.map { Array($0.utf8) }).count == names.count)
        #expect(safe[0] == names[0])
        #expect(safe[9] == "été")
        for name in safe {
            #expect(!name.isEmpty && name.utf8.count < 255 && !name.contains("/") && !name.hasPrefix("."))
            #expect(!name.hasPrefix("-"))
        }
    }

    @Test func consoleLinesCarryTheirTime() throws {
        try withFolder { folder in
            let clock = ManualClock()
            let run = clock.run
            let path = "\(folder)/guests/lin-1/console.log"
            let log = ConsoleLogWriter(to: .file(path, append: true), guest: "lin-1", clock: run)
            #expect(!FileManager.default.fileExists(atPath: path))
            clock.now = 3.2045114
            log.append(Array("Linux \u{1B}[1mver".utf8))
            clock.now = 12.5
            log.append([UInt8(ascii: "!"), 0xFF, 0, 13, 10] + Array("next".utf8))
            try log.close()
            let expected =
                Array("# console of lin-1; seconds since \(timestamp(ManualClock.start))\n".utf8)
                + Array("[   3.204511] Linux \u{1B}[1mver!".utf8) + [0xFF, 0, 13, 10] + Array("[  12.500000] next".utf8)
            #expect(try bytes(path) == expected)
        }
    }

    @Test func outputIsByteExactAndItsEndIsKept() throws {
        try withFolder { folder in
            let directory = try RunDirectory.create(lab: "l", under: folder)
            let id = TaskID(task: "t", guest: "g")
            let writer = directory.outputWriter(id)
            var all: [UInt8] = []
            for step in 0..<300 {
                let chunk = (0..<(step * 7)).map { UInt8(truncatingIfNeeded: $0 &* step) }
                all += chunk
                writer.append(chunk)
            }
            let line = [UInt8](repeating: UInt8(ascii: "x"), count: 1 << 20)
            all += line
            writer.append(line)
            let end = Array("\u{E9}".utf8) + [UInt8](repeating: 0xC3, count: 2) + [UInt8](repeating: 0x79, count: 4093)
            all += end
            writer.append(end[...])
            try writer.close()
            #expect(writer.count == all.count)
            #expect(try bytes(directory.absolute(RunDirectory.taskOutput(id))) == all)
            // The cut falls inside the é: its second byte is left out, the stray bytes are shown as such.
            #expect(writer.tail == "\u{FFFD}\u{FFFD}" + String(repeating: "y", count: 4093))
        }
    }

    @Test func aRetryLeavesNothingOfTheAttemptBefore() throws {
        try withFolder { folder in
            let path = "\(folder)/output"
            let first = OutputWriter(to: .file(path, append: false), limit: .max)
            first.append(Array("first".utf8))
            try first.close()
            try OutputWriter(to: .file(path, append: false), limit: .max).close()
            #expect(try bytes(path).isEmpty)
        }
    }

    @Test("A7: output is on disk as it comes, and its last line can be shown")
    func outputIsWrittenAsItComes() throws {
        try withFolder { folder in
            let path = "\(folder)/output"
            let writer = OutputWriter(to: .file(path, append: false), limit: .max)
            #expect(writer.lastLine == nil)
            for (text, line) in [
                ("one", "one"), (" more\n", "one more"), ("\n  \n", "one more"), ("50%\r60%\r", "60%"),
            ] {
                writer.append(Array(text.utf8))
                #expect(writer.lastLine == line)
            }
            let written = try bytes(path)
            #expect(written == Array("one more\n\n  \n50%\r60%\r".utf8))
            writer.append([UInt8](repeating: 0x61, count: 1000))
            #expect(writer.lastLine?.count == 200)
        }
    }

    @Test func aFullDiskIsToldAtTheEnd() throws {
        let writer = OutputWriter(to: .file("/dev/full", append: false), limit: .max)
        for _ in 0..<100 { writer.append([UInt8](repeating: 1, count: 10_000)) }
        writer.append(Array("the end".utf8))
        let failure = #expect(throws: Diagnostic.self) { try writer.close() }
        #expect(failure?.cause == "No space left on device")
        #expect(failure?.remedy?.contains("free some space") == true)
        #expect(writer.count == 1_000_007)
        #expect(writer.tail.hasSuffix("the end"))
        let log = ConsoleLogWriter(to: .file("/dev/full", append: true), guest: "g", clock: RunClock())
        log.append(Array("x\n".utf8))
        #expect(throws: Diagnostic.self) { try log.close() }
    }

    @Test func resultsThatAreNoneAreTold() throws {
        try withFolder { folder in
            let missing = #expect(throws: Diagnostic.self) { try ResultsFile.load(folder) }
            #expect(missing?.remedy?.contains("vmlab run") == true)
            try Data("{\"format\": 1".utf8).write(to: URL(filePath: "\(folder)/results.json"))
            #expect(throws: Diagnostic.self) { try ResultsFile.load(folder) }
        }
    }

    @Test func numbersAndTimes() {
        #expect(timestamp(0) == "1970-01-01T00:00:00.000Z")
        #expect(timestamp(-0.001) == "1969-12-31T23:59:59.999Z")
        #expect(timestamp(1_795_345_200.1239) == "2026-11-22T11:00:00.124Z")
        #expect(timestamp(1_795_345_199.9996) == "2026-11-22T11:00:00.000Z")
    }
}
