import Diagnostics
import Glibc
import LabTestSupport
import Synchronization
import Testing

import HostSystem
@testable import HostResources

/// The runner that `killedOwner` kills: it runs only when started by that test.
@Test("A run's owner, nested", .enabled(if: NestedProcess.argument != nil))
func nestedOwner() async throws {
    let folder = try #require(NestedProcess.argument)
    let folders = RunFolders(journals: folder + "/runs", temporary: folder + "/tmp")
    let journal = try RunJournal.begin(lab: "nested", results: "/results/nested", in: folders)
    let child = try await ChildProcess.spawn(ChildConfiguration(executable: "/bin/sleep", arguments: ["1000"]))
    try journal.record(
        .child(guest: "lin-1", processID: child.processID, startTime: child.startTime, program: "sleep"))
    // One that left our care: nothing but the collector ends it.
    let orphan = try await Tool.run("sh", ["-c", "sleep 2000 >&- 2>&- & echo $!"])
    let orphanID = try #require(pid_t(orphan.text.dropLast()))
    try journal.record(
        .child(
            guest: "lin-2", processID: orphanID, startTime: ProcessTable().startTime(of: orphanID) ?? 0,
            program: "sleep"))
    try journal.record(.path(folder + "/elsewhere/overlay"))
    try FileTree.makeFolder(folder + "/elsewhere/overlay")
    try FileTree.makeSparseFile(journal.directory + "/scratch", size: 1 << 20)
    try NestedProcess.readyThenWait(folder)
}

@Suite("Run journal and collector", .timeLimit(.minutes(1)))
struct RunJournalTests {
    private func withFolders(_ body: (RunFolders, String) async throws -> Void) async throws {
        try await withTemporaryFolder { folder in
            try await body(RunFolders(journals: folder + "/runs", temporary: folder + "/tmp"), folder)
        }
    }

    @Test("An owner killed with SIGKILL: its children die with it, the collector removes the rest")
    func killedOwner() async throws {
        try await withFolders { folders, folder in
            let owner = try await NestedProcess.start("nestedOwner", folder)
            let run = try #require(RunRegistry.live(in: folders).first)
            #expect(run.head.lab == "nested")
            #expect(run.head.results == "/results/nested")
            #expect(run.head.processID == owner.processID)
            #expect(run.guests.map(\.name) == ["lin-1", "lin-2"])
            #expect(await Collector.collect(in: folders).isEmpty, "a live run is left alone")
            #expect(access(folder + "/elsewhere/overlay", F_OK) == 0)

            owner.kill()
            _ = try await owner.wait()
            let (supervised, orphan) = (run.guests[0].processID, run.guests[1].processID)
            let table = ProcessTable()
            #expect(
                try await eventually { table.commandLine(of: supervised)?.isEmpty != false }, "died with its parent")
            #expect(try await eventually { table.commandLine(of: orphan)?.first == "sleep" })
            #expect(RunRegistry.live(in: folders).isEmpty)

            // Two collectors at once do the work once.
            async let first = Collector.collect(in: folders)
            async let second = Collector.collect(in: folders)
            let reports = await first + second
            #expect(reports.count == 1)
            let report = try #require(reports.first)
            #expect(report.killed == ["lin-2 (process \(orphan))"])
            #expect(report.removed == [folder + "/elsewhere/overlay", run.head.directory])
            #expect(report.failures.isEmpty)
            #expect(table.commandLine(of: orphan)?.isEmpty != false)
            #expect(try FileTree.names(in: folders.journals).isEmpty)
            #expect(try FileTree.names(in: folders.temporary).isEmpty)
        }
    }

    @Test("A run that ends cleanly leaves nothing, and may end twice")
    func cleanEnd() async throws {
        try await withFolders { folders, _ in
            let journal = try RunJournal.begin(lab: "lab", results: nil, in: folders)
            let other = try RunJournal.begin(lab: "other", results: nil, in: folders)
            #expect(journal.directory != other.directory)
            #expect(Set(RunRegistry.live(in: folders).map(\.head.lab)) == ["lab", "other"])
            try FileTree.makeSparseFile(journal.directory + "/disk", size: 1 << 30)
            journal.end()
            journal.end()
            #expect(RunRegistry.live(in: folders).map(\.head.lab) == ["other"])
            other.end()
            #expect(try FileTree.names(in: folders.journals).isEmpty)
            #expect(try FileTree.names(in: folders.temporary).isEmpty)
        }
    }

    /// A journal of a runner that is long gone, with `lines` after its head.
    private func deadJournal(_ folders: RunFolders, bootID: String, _ lines: [UInt8]) throws -> String {
        let head = RunHead(
            run: "dead", processID: 1, startTime: 1, bootID: bootID, lab: "dead", results: nil,
            directory: folders.temporary + "/dead", began: 0)
        try FileTree.makeFolder(folders.journals + "/dead")
        let path = folders.journals + "/dead/journal"
        let file = try OwnedDescriptor.open(path, O_WRONLY | O_CREAT)
        let bytes = RunRecord.line(head) + lines
        #expect(write(file.number, bytes, bytes.count) == bytes.count)
        return path
    }

    @Test("A torn last line and one of nonsense are skipped")
    func tornLine() async throws {
        try await withFolders { folders, folder in
            try FileTree.makeFolder(folder + "/made")
            let torn =
                Array("nonsense\n".utf8) + RunRecord.line(RunResource.path(folder + "/made"))
                + RunRecord.line(RunResource.path(folder + "/not-this")).dropLast(9)
            _ = try deadJournal(folders, bootID: RunRecord.bootID, Array(torn))
            #expect(await Collector.collect(in: folders).first?.removed == [folder + "/made"])
        }
    }

    @Test("A process that has the number of a dead run's child is left alone")
    func reusedNumber() async throws {
        try await withFolders { folders, _ in
            let innocent = try await ChildProcess.spawn(
                ChildConfiguration(executable: "/bin/sleep", arguments: ["1000"]))
            func line(_ startTime: UInt64, _ program: String) -> [UInt8] {
                RunRecord.line(
                    RunResource.child(
                        guest: "g", processID: innocent.processID, startTime: startTime, program: program))
            }
            // Another start time, another program, and another boot of the host.
            let lines = line(innocent.startTime + 1, "sleep") + line(innocent.startTime, "qemu")
            _ = try deadJournal(folders, bootID: RunRecord.bootID, lines)
            #expect(await Collector.collect(in: folders).first?.killed == [])
            _ = try deadJournal(folders, bootID: "another", line(innocent.startTime, "sleep"))
            #expect(await Collector.collect(in: folders).first?.killed == [])
            #expect(innocent.exitStatus == nil)
            innocent.kill()
            _ = await innocent.ended()
        }
    }

    @Test("A temporary folder that others can enter is refused")
    func foreignFolder() async throws {
        try await withFolders { folders, _ in
            try FileTree.makeFolder(folders.temporary, mode: 0o777)
            chmod(folders.temporary, 0o777)
            let error = #expect(throws: Diagnostic.self) {
                try RunJournal.begin(lab: "lab", results: nil, in: folders)
            }
            #expect(error?.remedy?.contains("TMPDIR") == true)
        }
    }
}

@Suite("Signals", .serialized, .timeLimit(.minutes(1)))
struct SignalWatcherTests {
    @Test("Signals arrive as values, in order; afterwards they do what they did before")
    func signals() async throws {
        let watching = Task {
            var seen: [Int32] = []
            for await signal in try SignalWatcher.signals([SIGUSR1, SIGUSR2]) {
                if seen.isEmpty { kill(getpid(), SIGUSR2) }
                seen.append(signal)
                if seen.count == 2 { break }
            }
            return seen
        }
        // Sent only once the handler is there: its default would end the tests.
        #expect(try await eventually { handles(SIGUSR1) && handles(SIGUSR2) })
        kill(getpid(), SIGUSR1)
        #expect(try await watching.value == [SIGUSR1, SIGUSR2])
        #expect(try await eventually { !handles(SIGUSR1) })
    }

    @Test("A signal goes to the newest watch that has it, and to the one before when that has ended")
    func nested() async throws {
        let seen = Mutex<[String]>([])
        func isSeen(_ expected: [String]) async throws -> Bool {
            try await eventually { seen.withLock { $0 } == expected }
        }
        let outer = try SignalWatcher.watch([SIGUSR1, SIGUSR2]) { number in
            seen.withLock { $0.append("outer \(number)") }
        }
        let inner = try SignalWatcher.watch([SIGUSR1]) { number in seen.withLock { $0.append("inner \(number)") } }
        kill(getpid(), SIGUSR1)
        #expect(try await isSeen(["inner \(SIGUSR1)"]))
        kill(getpid(), SIGUSR2)
        #expect(try await isSeen(["inner \(SIGUSR1)", "outer \(SIGUSR2)"]))
        inner.end()
        #expect(handles(SIGUSR1))
        seen.withLock { $0 = [] }
        kill(getpid(), SIGUSR1)
        #expect(try await isSeen(["outer \(SIGUSR1)"]))
        outer.end()
        #expect(!handles(SIGUSR1) && !handles(SIGUSR2))
    }

    private func handles(_ number: Int32) -> Bool {
        var action = sigaction()
        return sigaction(number, nil, &action) == 0 && action.__sigaction_handler.sa_handler != nil
    }
}
