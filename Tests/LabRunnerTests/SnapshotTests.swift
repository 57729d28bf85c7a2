import Diagnostics
import HostSystem
import LabResults
import LabSpec
import LabTestSupport
import Synchronization
import Testing

@testable import GuestControl

/// Guests on demand that are saved, cloned and taken back.
@Suite("Snapshots of guests on demand", .timeLimit(.minutes(1)))
struct SnapshotTests {
    @Test("clones go on from where the guest was, each under its own name and for itself")
    func clones() async throws {
        try await TestFleet.with(on: NotebookBackend()) { test in
            let guest = try await test.boot(group("g"))[0]
            _ = try await guest.say("note before")
            let snapshot = try await guest.snapshot()
            _ = try await guest.say("note after")
            let clones = try await test.fleet.clone(snapshot, count: 3)
            #expect(clones.map(\.name) == ["g-1", "g-2", "g-3"])
            for clone in clones {
                #expect(try await clone.say("notes\nhostname\nnote \(clone.name)").0 == "before\n\(clone.name)\n")
            }
            for clone in clones { #expect(try await clone.say("notes").0 == "before\n\(clone.name)\n") }
            #expect(try await guest.say("notes\nhostname").0 == "before\nafter\ng\n")
        }
    }

    @Test("a guest goes back to a snapshot as often as it likes, and is not taken for a lost one")
    func restore() async throws {
        let notebooks = NotebookBackend()
        try await TestFleet.with(on: notebooks) { test in
            let guest = try await test.boot(group("g"))[0]
            _ = try await guest.say("note before")
            let snapshot = try await guest.snapshot()
            for _ in 1...3 {
                #expect(try await guest.say("notes").0 == "before\n")
                _ = try await guest.say("note after")
                try await guest.restore(snapshot)
            }
            #expect(try await guest.say("notes\nhostname").0 == "before\ng\n")
            #expect(test.fleet.guests.map(\.name) == ["g"])
            #expect(!test.sink.events.contains { if case .guestEnded = $0 { true } else { false } })
            #expect(notebooks.live == 1)

            // Lost for good it is all the same.
            notebooks.machine("g")?.die()
            try await test.sink.wait { if case .guestEnded("g", false, _) = $0 { true } else { false } }
            let loss = await #expect(throws: GuestLoss.self) { try await guest.restore(snapshot) }
            #expect(loss?.message.contains("it died") == true)
        }
    }

    @Test("a clone of a clone, and a guest that becomes what another was")
    func generations() async throws {
        try await TestFleet.with(on: NotebookBackend()) { test in
            let guests = try await test.boot(group("g", count: 2))
            _ = try await guests[0].say("note one")
            let child = try await test.fleet.clone(try await guests[0].snapshot(), count: 1)[0]
            _ = try await child.say("note two")
            let snapshot = try await child.snapshot()
            try await child.kill()
            let grandchild = try await test.fleet.clone(snapshot, count: 1)[0]
            #expect(try await grandchild.say("notes").0 == "one\ntwo\n")
            try await guests[1].restore(snapshot)
            #expect(try await guests[1].say("notes\nhostname").0 == "one\ntwo\ng-2\n")
        }
    }

    @Test("a guest of another shape is refused, and goes on")
    func shapes() async throws {
        try await TestFleet.with(on: NotebookBackend()) { test in
            let snapshot = try await test.boot(group("g").with { $0.networks = ["lan"] }, networks: Self.networks)[0]
                .snapshot()
            let others: [(GuestGroup, String)] = [
                (group("large", memory: .mebibytes(200)), "has 200MiB of memory, the snapshot 100MiB"),
                (group("many").with { $0.cpus = 2 }, "has 2 processors, the snapshot 1"),
                (
                    group("disk").with { $0.disks = [.scratch(size: .mebibytes(1))] },
                    "has other disks than the snapshot"
                ),
                (group("alone"), "has another number of networks than the snapshot"),
                // One network, and two cards.
                (group("outside").with { $0.networks = ["net"] }, "has another number of networks than the snapshot"),
                (group("host").with { $0.nested = true }, "has other processors than the snapshot"),
            ]
            for (other, reason) in others {
                let guest = try await test.boot(other, networks: Self.networks)[0]
                let error = await #expect(throws: Diagnostic.self) { try await guest.restore(snapshot) }
                #expect(error?.message.contains(reason) == true, "\(error?.message ?? "")")
                #expect(try await guest.say("hostname").0 == "\(other.name)\n")
            }
        }
    }

    private static let networks = [NetworkSpec(name: "lan"), NetworkSpec(name: "net", nat: true)]

    @Test("a snapshot's files go with the last who holds it or goes on from it")
    func files() async throws {
        try await TestFleet.with(on: NotebookBackend()) { test in
            let guest = try await test.boot(group("g"))[0]
            let clone = try await test.fleet.clone(try await guest.snapshot(), count: 1)[0]
            #expect(try test.snapshots.count == 1)
            try await clone.kill()
            #expect(try await eventually { try test.snapshots.isEmpty })
        }
    }

    @Test(
        "a guest that does not come back from a snapshot is lost, and everything after says why",
        arguments: [false, true])
    func lost(_ starts: Bool) async throws {
        let trouble = Diagnostic(.host, "out of ink")
        let notebooks = NotebookBackend { $0.kind == .restored ? starts ? .dies : .fails(trouble) : .comesUp }
        try await TestFleet.with(on: notebooks) { test in
            let guest = try await test.boot(group("g"))[0]
            let snapshot = try await guest.snapshot()
            let loss = await #expect(throws: GuestLoss.self) { try await guest.restore(snapshot) }
            #expect(loss?.message.contains(starts ? "it died" : "out of ink") == true, "\(loss?.message ?? "")")
            let later = await #expect(throws: GuestLoss.self) { try await guest.say("notes") }
            #expect(later == loss)
            try await test.sink.wait { if case .guestEnded("g", false, _) = $0 { true } else { false } }
            #expect(try await eventually { notebooks.live == 0 })
            // There is nothing to wait for.
            try await guest.kill()
        }
    }

    @Test("whose way back is cancelled is lost, and its machine goes at once")
    func cancelledRestore() async throws {
        let never = Completion<Void>()
        defer { never.fulfil() }
        let notebooks = NotebookBackend { $0.kind == .restored ? .comesUpAfter(never) : .comesUp }
        try await TestFleet.with(on: notebooks) { test in
            let guest = try await test.boot(group("g"))[0]
            let snapshot = try await guest.snapshot()
            let back = Task { try await guest.restore(snapshot) }
            #expect(try await eventually { notebooks.count(.restored) == 1 })
            back.cancel()
            await #expect(throws: CancellationError.self) { try await back.value }
            #expect(try await eventually { notebooks.live == 0 })
            let loss = await #expect(throws: GuestLoss.self) { try await guest.say("notes") }
            #expect(loss?.message == "the guest did not come back from its reset: it was interrupted")
        }
    }

    @Test("the end of a fleet does not wait for a guest on its way back", arguments: [false, true])
    func endInRestore(_ kills: Bool) async throws {
        let never = Completion<Void>()
        defer { never.fulfil() }
        let notebooks = NotebookBackend { $0.kind == .restored ? .comesUpAfter(never) : .comesUp }
        let back = try await TestFleet.with(on: notebooks) { test in
            let guest = try await test.boot(group("g"))[0]
            let snapshot = try await guest.snapshot()
            let back = Task { try await guest.restore(snapshot) }
            #expect(try await eventually { notebooks.count(.restored) == 1 })
            if kills {
                try await guest.kill()
                try await test.sink.wait {
                    if case .guestEnded("g", true, "ended by the script") = $0 { true } else { false }
                }
            }
            return back
        }
        await #expect(throws: GuestLoss.self) { try await back.value }
    }

    @Test(
        "a snapshot that is cancelled, or takes too long, leaves no files, and the guest goes on",
        arguments: [false, true])
    func unfinished(_ isCancelled: Bool) async throws {
        let isSaving = Completion<Void>()
        let notebooks = NotebookBackend(saving: { _ in
            isSaving.fulfil()
            return .takesForever
        })
        try await TestFleet.with(on: notebooks) { test in
            let guest = try await test.boot(group("g"))[0]
            _ = try await guest.say("note kept")
            let snapshot = Task { try await guest.snapshot(timeout: isCancelled ? nil : .milliseconds(100)) }
            _ = try await isSaving.wait()
            if isCancelled {
                snapshot.cancel()
                await #expect(throws: CancellationError.self) { try await snapshot.value }
            } else {
                await #expect(throws: GuestTimeout.self) { try await snapshot.value }
            }
            #expect(try test.snapshots == [])
            #expect(try await guest.say("notes").0 == "kept\n")
        }
    }

    @Test("guests of a script come from goldens too, and are made ready for each other's names")
    func goldens() async throws {
        try await withTemporaryFolder { folder in
            let shelf = GoldenShelf(in: folder)
            let notebooks = NotebookBackend()
            try await TestFleet.with(on: notebooks, goldens: shelf) { test in
                let guests = try await test.boot(
                    group("g", count: 4).with { $0.networks = ["lan"] }, networks: Self.networks)
                #expect(try await guests[3].say("hostname").0 == "g-4\n")
                let snapshot = try await guests[0].snapshot()
                try await guests[1].restore(snapshot)
                #expect(try await guests[1].say("hostname").0 == "g-2\n")
            }
            #expect(shelf.made == 1)
            #expect(notebooks.count(.cold) == 0 && notebooks.count(.golden) == 1)
        }
    }
}
