import Diagnostics
import HostSystem
import LabResults
import LabSpec
import LabTestSupport
import Testing

@testable import GuestControl

/// Guests that come up as clones of a golden: who makes it, who uses it, and what happens when it is no good.
@Suite("Goldens", .timeLimit(.minutes(1)))
struct GoldenTests {
    /// A lab of one group whose guests say what they are called.
    private func lab(_ shelf: GoldenShelf, count: Int = 3, boot: BootChoice = .auto) -> TestLab {
        let guests = (1...count).map { "g-\($0)" }
        var lab = TestLab(groups: [group("g", count: count).with { $0.boot = boot }])
        lab.tasks = [task("name", "hostname\nnotes", on: guests)]
        lab.goldens = shelf
        return lab
    }

    private func withShelf(_ body: (GoldenShelf) async throws -> Void) async throws {
        try await withTemporaryFolder { try await body(GoldenShelf(in: $0)) }
    }

    private static let trouble = Diagnostic(.host, "the printer is on fire")

    @Test("with `boot: auto` one golden is made for many guests at once, and all are clones of it with their own names")
    func oneForMany() async throws {
        try await withShelf { shelf in
            let notebooks = NotebookBackend()
            var lab = lab(shelf, count: 20)
            lab.boots = 8
            let run = try await TestLab.$inspect.withValue(
                { run in
                    for result in run.finished { #expect(run.output(result) == "\(result.id.guest ?? "")\n") }
                },
                operation: {
                    try await lab.run(on: notebooks)
                })
            #expect(run.status == .passed)
            #expect(notebooks.starts.first == .init(guest: "debian", kind: .golden, number: 1))
            #expect([notebooks.count(.golden), notebooks.count(.restored), notebooks.count(.cold)] == [1, 20, 0])
            #expect(shelf.made == 1)
            #expect((1...20).allSatisfy { run.boots(of: "g-\($0)") == [.clone] })
            #expect(run.warnings == [])
        }
    }

    @Test("hooks run in each clone before its first task, the base's first, and not in a guest that boots")
    func hooks() async throws {
        try await withShelf { shelf in
            var lab = lab(shelf)
            lab.image.onClone = ["note base's", "note own"]
            let run = try await TestLab.$inspect.withValue(
                { run in
                    for result in run.finished {
                        #expect(run.output(result) == "\(result.id.guest ?? "")\nbase's\nown\n")
                    }
                },
                operation: { try await lab.run(on: NotebookBackend()) })
            #expect(run.status == .passed && run.finished.count == 3)
            let cold = NotebookBackend()
            lab.groups[0].boot = .cold
            try await TestLab.$inspect.withValue(
                { run in
                    for result in run.finished { #expect(run.output(result) == "\(result.id.guest ?? "")\n") }
                },
                operation: { _ = try await lab.run(on: cold) })
            #expect(cold.count(.cold) == 3)
        }
    }

    @Test(
        "a clone whose hook fails has failed to start, and its golden is not to blame", arguments: BootChoice.allCases)
    func failingHook(_ boot: BootChoice) async throws {
        try await withShelf { shelf in
            let notebooks = NotebookBackend()
            var lab = lab(shelf, count: 1, boot: boot)
            lab.image.onClone = ["note told\nnotes\nexit 3", "note never"]
            let run = try await lab.run(on: notebooks)
            guard boot != .cold else {
                #expect(run.status == .passed)
                return
            }
            #expect(run.status == .infrastructure)
            #expect(
                run.failedGuests["g-1"]?.contains("its commands for clones (on-clone) failed with status 3: told")
                    == true, "\(run.failedGuests)")
            #expect([shelf.made, shelf.discarded, notebooks.count(.cold)] == [1, 0, 0])
        }
    }

    @Test("`boot: cold` neither makes one nor uses one")
    func cold() async throws {
        try await withShelf { shelf in
            let notebooks = NotebookBackend()
            try await lab(shelf).run(on: notebooks)
            let run = try await lab(shelf, boot: .cold).run(on: notebooks)
            #expect(run.status == .passed)
            #expect([notebooks.count(.golden), notebooks.count(.restored), notebooks.count(.cold)] == [1, 3, 3])
            #expect(run.boots(of: "g-2") == [.cold])
        }
    }

    @Test("a second run uses the golden that the first one left")
    func kept() async throws {
        try await withShelf { shelf in
            try await lab(shelf).run(on: NotebookBackend())
            let notebooks = NotebookBackend()
            let run = try await lab(shelf).run(on: notebooks)
            #expect(run.status == .passed)
            #expect([notebooks.count(.golden), notebooks.count(.restored), notebooks.count(.cold)] == [0, 3, 0])
        }
    }

    @Test("each shape of guest has its own, and so has each fingerprint of a backend")
    func shapes() async throws {
        try await withShelf { shelf in
            var lab = lab(shelf)
            lab.groups.append(group("large", memory: .mebibytes(200)))
            lab.groups.append(group("other").with { $0.cmdline = "quiet" })
            lab.tasks.append(task("more", on: ["large", "other"]))
            try await lab.run(on: NotebookBackend())
            #expect(shelf.made == 3)
            try await lab.run(on: NotebookBackend(fingerprint: "parchment"))
            #expect(shelf.made == 6)
        }
    }

    @Test("a golden that does not work is thrown away with a warning, and the guest boots", arguments: 0..<4)
    func useless(_ how: Int) async throws {
        let fates: [NotebookBackend.Behaviour] = [.fails(Self.trouble), .dies, .staysSilent, .beginsAnew]
        try await withShelf { shelf in
            let notebooks = NotebookBackend { $0.kind == .restored ? fates[how] : .comesUp }
            var lab = lab(shelf, count: 1)
            let clock = ManualClock()
            lab.timeouts.boot = .seconds(600)
            lab.clock = clock
            let run = try await lab.run(on: notebooks) { _ in
                guard case .staysSilent = fates[how] else { return }
                #expect(try await eventually { notebooks.count(.restored) == 1 })
                try await clock.fire(after: .seconds(600))
            }
            #expect(run.status == .passed)
            #expect(run.boots(of: "g-1") == [.clone, .cold])
            #expect(shelf.discarded == 1 && shelf.folders.isEmpty)
            #expect(run.warnings.count == 1)
            #expect(run.warnings.first?.contains("g-1: the golden snapshot of debian did not work") == true)
        }
    }

    @Test("N6: many guests that meet the same useless golden throw it away once, and it is made but twice in a run")
    func uselessForMany() async throws {
        try await withShelf { shelf in
            let notebooks = NotebookBackend { $0.kind == .restored && $0.number == 1 ? .dies : .comesUp }
            let run = try await lab(shelf, count: 8).run(on: notebooks)
            #expect(run.status == .passed)
            #expect(shelf.discarded <= shelf.made && shelf.made <= 2)
            #expect(notebooks.count(.cold) == 8)
        }
    }

    @Test("with `boot: clone` another is made in place of a useless one")
    func madeAgain() async throws {
        try await withShelf { shelf in
            let notebooks = NotebookBackend { $0.kind == .restored && $0.number == 1 ? .dies : .comesUp }
            let run = try await lab(shelf, count: 1, boot: .clone).run(on: notebooks)
            #expect(run.status == .passed)
            #expect(run.boots(of: "g-1") == [.clone, .clone])
            #expect([shelf.made, shelf.discarded, notebooks.count(.cold)] == [2, 1, 0])
        }
    }

    @Test("`boot: clone` where machines cannot be saved is an error that says what to do; `auto` boots")
    func cannotBeSaved() async throws {
        try await withShelf { shelf in
            let notebooks = NotebookBackend(fingerprint: nil)
            let run = try await lab(shelf, count: 1, boot: .clone).run(on: notebooks)
            #expect(run.status == .infrastructure)
            let message = try #require(run.failedGuests["g-1"])
            #expect(message.contains("g: its guests cannot be cloned: the backend notebook cannot save machines"))
            let isRemedied = run.events.contains {
                if case .guestFailed(_, _, _, let tail) = $0 {
                    tail.contains { $0.contains("boot: cold") }
                } else {
                    false
                }
            }
            #expect(isRemedied, "\(run.events)")
            #expect(notebooks.starts == [])
            #expect(try await lab(shelf).run(on: notebooks).status == .passed)
            #expect(shelf.made == 0 && notebooks.count(.cold) == 3)
        }
    }

    /// What can go wrong with a golden in the making.
    enum Mishap: CaseIterable {
        case cannotStart, dies, neverGreets, cannotSave, savesForEver

        /// Turns the clock to where the golden is given up, of ten minutes that it may take to boot.
        func giveUp(_ clock: ManualClock, _ saving: Completion<Void>) async throws {
            if self == .neverGreets { try await clock.fire(after: .seconds(300)) }
            guard self == .savesForEver else { return }
            try await saving.wait()
            try await clock.fire(after: .seconds(600))
        }

        /// `saving` is fulfilled when the golden is saved.
        func notebooks(_ saving: Completion<Void>) -> NotebookBackend {
            NotebookBackend { start in
                switch (self, start.kind) {
                case (.cannotStart, .golden): .fails(GoldenTests.trouble)
                case (.dies, .golden): .dies
                case (.neverGreets, .golden): .staysSilent
                default: .comesUp
                }
            } saving: { _ in
                saving.fulfil(())
                return switch self {
                case .cannotSave: .fails(GoldenTests.trouble)
                case .savesForEver: .takesForever
                default: .works
                }
            }
        }
    }

    @Test(
        "a golden that cannot be made is tried once, with a warning, and those that wait for it boot",
        arguments: Mishap.allCases)
    func cannotBeMade(_ mishap: Mishap) async throws {
        try await withShelf { shelf in
            let saving = Completion<Void>()
            let notebooks = mishap.notebooks(saving)
            let clock = ManualClock()
            var lab = lab(shelf, count: 6)
            lab.timeouts.boot = .seconds(600)
            lab.clock = clock
            let run = try await lab.run(on: notebooks) { _ in try await mishap.giveUp(clock, saving) }
            #expect(run.status == .passed, "\(run.failedGuests)")
            #expect([notebooks.count(.golden), notebooks.count(.restored), notebooks.count(.cold)] == [1, 0, 6])
            #expect(run.warnings.count == 1 && shelf.folders.isEmpty, "\(run.warnings)")
            #expect(run.warnings.first?.hasPrefix("no golden snapshot of the image debian could be made") == true)
        }
    }

    @Test(
        "why a golden cannot be made is said by the first run; later ones boot at once, and `boot: clone` says it again"
    )
    func saidOnce() async throws {
        try await withTemporaryFolder { folder in
            let shelf = GoldenShelf(in: folder, isForgetful: false)
            let notebooks = NotebookBackend(saving: { _ in .fails(Self.trouble) })
            let first = try await lab(shelf).run(on: notebooks)
            #expect(first.status == .passed && first.warnings.count == 1, "\(first.warnings)")
            let second = try await lab(shelf).run(on: notebooks)
            #expect(second.status == .passed && second.warnings == [])
            #expect([notebooks.count(.golden), notebooks.count(.cold)] == [1, 6])
            let demanding = try await lab(shelf, count: 1, boot: .clone).run(on: notebooks)
            #expect(demanding.status == .infrastructure)
            #expect(demanding.failedGuests["g-1"]?.contains("the printer is on fire") == true)
        }
    }

    @Test("that an image's guests cannot be clones is said by the first run that would clone them")
    func obstacleSaidOnce() async throws {
        try await withTemporaryFolder { folder in
            let shelf = GoldenShelf(in: folder, isForgetful: false)
            // A console without a shell that sets names; the notebook speaks as ever.
            func notes(_ boot: BootChoice) async throws -> [String] {
                var lab = lab(shelf, count: 2, boot: boot)
                lab.image.console = ConsoleSpec(dialect: .uefi, announces: false)
                lab.timeouts.boot = .milliseconds(10)
                lab.tasks = []
                return try await lab.run(on: NotebookBackend()).events.compactMap {
                    if case .note(_, let message) = $0, message.contains("boot each time") { message } else { nil }
                }
            }
            #expect(try await notes(.cold) == [])
            let said = try await notes(.auto)
            #expect(
                said == ["guests of debian boot each time: the image debian has no shell to give each clone its name"])
            #expect(try await notes(.auto) == [])
        }
    }

    @Test("with `boot: clone` each guest's failure says why it could not be made", arguments: Mishap.allCases)
    func mustBeMade(_ mishap: Mishap) async throws {
        try await withShelf { shelf in
            let saving = Completion<Void>()
            let notebooks = mishap.notebooks(saving)
            let clock = ManualClock()
            var lab = lab(shelf, boot: .clone)
            lab.timeouts.boot = .seconds(600)
            lab.clock = clock
            let run = try await lab.run(on: notebooks) { _ in try await mishap.giveUp(clock, saving) }
            #expect(run.status == .infrastructure)
            #expect(run.failedGuests.count == 3)
            let reason =
                switch mishap {
                case .cannotStart, .cannotSave: "the printer is on fire"
                case .dies: "it died"
                case .neverGreets: "has printed nothing on its console"
                case .savesForEver: "was not saved before its boot deadline"
                }
            #expect(run.failedGuests.values.allSatisfy { $0.contains(reason) }, "\(run.failedGuests)")
            #expect(notebooks.starts.count == 1)
        }
    }

    @Test("a run that is stopped while it makes a golden leaves neither machine nor folder")
    func interrupted() async throws {
        try await withShelf { shelf in
            let never = Completion<Void>()
            defer { never.fulfil() }
            let notebooks = NotebookBackend { $0.kind == .golden ? .comesUpAfter(never) : .comesUp }
            let run = try await lab(shelf).run(cancelling: true, on: notebooks) { _ in
                let isThere = try await eventually { notebooks.live == 1 }
                #expect(isThere)
            }
            #expect(run.status == .interrupted)
            #expect(Set(run.finished.map(\.outcome)) == [.skipped])
            #expect(shelf.folders.isEmpty && shelf.made == 0)
            #expect(run.warnings == [])
        }
    }

    @Test("guests that wait for a golden, or make it, go when the others have done their work")
    func notNeeded() async throws {
        try await withShelf { shelf in
            let never = Completion<Void>()
            defer { never.fulfil() }
            let notebooks = NotebookBackend { $0.kind == .golden ? .comesUpAfter(never) : .comesUp }
            var lab = lab(shelf)
            lab.groups.append(group("quick").with { $0.boot = .cold })
            lab.tasks = [shared("any", among: ["g-1", "g-2", "g-3", "quick"], repetitions: 10)]
            let run = try await lab.run(on: notebooks)
            #expect(run.status == .passed)
            #expect(run.failedGuests == [:])
            #expect(run.warnings == [])
            #expect(shelf.folders.isEmpty)
        }
    }

    @Test("clones have an exchange disk and cards of the golden's kinds, but their own addresses")
    func devices() async throws {
        try await withShelf { shelf in
            let notebooks = NotebookBackend()
            var lab = lab(shelf, count: 2)
            lab.networks = [NetworkSpec(name: "lan")]
            lab.groups[0].networks = ["lan"]
            let seen = try await TestLab.$inspect.withValue(
                { _ in
                    let golden = try #require(notebooks.machine("debian")?.configuration)
                    let clones = try ["g-1", "g-2"].map { try #require(notebooks.machine($0)?.configuration) }
                    for clone in clones {
                        #expect(clone.networks.count == golden.networks.count)
                        #expect(clone.exchangeDisk != nil && golden.exchangeDisk != nil)
                        #expect(
                            clone.memory == golden.memory && clone.cpus == golden.cpus && clone.disks == golden.disks)
                        #expect(clone.goldenFolder == nil && clone.restoring != nil)
                    }
                    #expect(Set((clones + [golden]).flatMap(\.networks).map(\.mac)).count == 3)
                },
                operation: {
                    try await lab.run(on: notebooks)
                })
            #expect(seen.status == .passed)
        }
    }
}

extension GuestGroup {
    func with(_ change: (inout GuestGroup) -> Void) -> GuestGroup {
        var copy = self
        change(&copy)
        return copy
    }
}
