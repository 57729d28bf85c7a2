import HostSystem
import LabResults
import LabSpec
import LabTestSupport
import Quantities
import Synchronization
import Testing

@testable import HostResources
@testable import LabRunner

/// A meter that a test sets.
final class FakeMeter: MemoryMeter {
    private let state: Mutex<(host: HostMemory, held: [Int32: UInt64], reads: [Int32: Int])>

    init(available: ByteCount, pressure: MemoryPressure? = nil) {
        state = Mutex((HostMemory(available: available.bytes, pressure: pressure), [:], [:]))
    }

    func set(available: ByteCount, pressure: MemoryPressure? = nil) {
        state.withLock { $0.host = HostMemory(available: available.bytes, pressure: pressure) }
    }

    func set(_ processID: Int32, holds amount: ByteCount) { state.withLock { $0.held[processID] = amount.bytes } }

    func reads(of processID: Int32) -> Int { state.withLock { $0.reads[processID, default: 0] } }

    func host() -> HostMemory { state.withLock { $0.host } }

    func held(by processID: Int32) -> UInt64? {
        state.withLock { state in
            state.reads[processID, default: 0] += 1
            return state.held[processID]
        }
    }
}

private func claim(_ guest: Int, _ group: String = "g", start: ByteCount = .mebibytes(300)) -> Claim {
    Claim(guest: guest, group: group, nominal: .gibibytes(5), start: start)
}

@Suite("The ledger of memory")
struct MemoryLedgerTests {
    @Test("strict: what guests may come to")
    func strict() {
        var ledger = MemoryLedger(mode: .strict, limit: .gibibytes(12))
        ledger.take(claim(0))
        ledger.take(claim(1))
        #expect(
            ledger.obstacle(to: claim(2))
                == .room(lacking: ByteCount.gibibytes(3).bytes, of: ByteCount.gibibytes(5).bytes))
        // What is measured and what the host says changes nothing.
        ledger.measure(0, holds: 1, isUp: true)
        ledger.see(HostMemory(available: 0, pressure: MemoryPressure(some: 100, full: 100)))
        #expect(ledger.wantedBack > 0)
        ledger.give(claim(0))
        #expect(ledger.obstacle(to: claim(2)) == nil)
        #expect(ledger.count == 1 && ledger.charged == ByteCount.gibibytes(5).bytes)
    }

    @Test("overcommit: the first guests by an estimate, further ones by what their group has come to hold")
    func estimates() {
        var ledger = MemoryLedger(mode: .overcommit, limit: .gibibytes(20))
        #expect(ledger.cost(of: claim(0)) == ByteCount.mebibytes(300).bytes)
        ledger.take(claim(0))
        // Until it is up it may still grow to the estimate.
        ledger.measure(0, holds: ByteCount.mebibytes(20).bytes, isUp: false)
        #expect(ledger.charged == ByteCount.mebibytes(300).bytes)
        #expect(ledger.cost(of: claim(1)) == ByteCount.mebibytes(300).bytes)
        ledger.measure(0, holds: ByteCount.mebibytes(80).bytes, isUp: true)
        #expect(ledger.charged == ByteCount.mebibytes(90).bytes, "an eighth more than it holds")
        #expect(ledger.cost(of: claim(1)) == ByteCount.mebibytes(90).bytes)
        #expect(ledger.cost(of: claim(1, "other")) == ByteCount.mebibytes(300).bytes)
        // It grew, and is remembered for it when it has left.
        ledger.measure(0, holds: ByteCount.mebibytes(800).bytes, isUp: true)
        ledger.measure(0, holds: ByteCount.mebibytes(100).bytes, isUp: true)
        ledger.give(claim(0))
        #expect(ledger.charged == 0 && ledger.count == 0)
        #expect(ledger.cost(of: claim(1)) == ByteCount.mebibytes(900).bytes)
    }

    @Test("overcommit: who was let in for too little is reckoned anew, and never at more than its RAM and overhead")
    func raises() {
        var ledger = MemoryLedger(mode: .overcommit, limit: .gibibytes(100))
        for guest in 0..<3 { ledger.take(claim(guest, start: .mebibytes(100))) }
        ledger.measure(0, holds: ByteCount.mebibytes(800).bytes, isUp: true)
        #expect(ledger.charged == ByteCount.mebibytes(2700).bytes)
        ledger.measure(1, holds: ByteCount.gibibytes(9).bytes, isUp: true)
        #expect(ledger.cost(of: claim(7)) == ByteCount.gibibytes(5).bytes)
        for guest in 0..<3 { ledger.give(claim(guest)) }
        #expect(ledger.charged == 0)
    }

    @Test("overcommit: what the host has left is a limit too, less a reserve and what guests have yet to take")
    func host() {
        var ledger = MemoryLedger(mode: .overcommit, limit: .gibibytes(100))
        ledger.see(HostMemory(available: ByteCount.gibibytes(20).bytes))
        #expect(ledger.reserve == ByteCount.gibibytes(1).bytes)
        #expect(ledger.room == ByteCount.gibibytes(19).bytes)
        ledger.take(claim(0, start: .gibibytes(2)))
        #expect(ledger.room == ByteCount.gibibytes(17).bytes)
        // It took half of it: the host has as much less.
        ledger.measure(0, holds: ByteCount.gibibytes(1).bytes, isUp: false)
        ledger.see(HostMemory(available: ByteCount.gibibytes(19).bytes))
        #expect(ledger.room == ByteCount.gibibytes(17).bytes)
        // Others took all the rest.
        ledger.see(HostMemory(available: ByteCount.gibibytes(2).bytes))
        #expect(ledger.room == 0)
        #expect(ledger.obstacle(to: claim(1)) != nil)
        ledger.give(claim(0))
        #expect(ledger.obstacle(to: claim(1)) == nil, "with nobody there, nobody is waited for")
    }

    @Test("who leaves a host that is short brings his part of what is wanted back")
    func wantedBack() {
        var ledger = MemoryLedger(mode: .overcommit, limit: .gibibytes(100))
        ledger.see(HostMemory(available: ByteCount.gibibytes(20).bytes))
        for guest in 0..<3 {
            ledger.take(claim(guest))
            ledger.measure(guest, holds: ByteCount.mebibytes(700).bytes, isUp: true)
        }
        ledger.see(HostMemory(available: ByteCount.mebibytes(24).bytes))
        #expect(ledger.wantedBack == ByteCount.mebibytes(1000).bytes)
        ledger.give(claim(0))
        #expect(ledger.wantedBack == ByteCount.mebibytes(300).bytes)
        ledger.give(claim(1))
        #expect(ledger.wantedBack == 0)
        ledger.see(HostMemory(available: ByteCount.gibibytes(8).bytes, pressure: MemoryPressure(some: 60, full: 0)))
        #expect(ledger.wantedBack == 1)
        ledger.give(claim(2))
        #expect(ledger.wantedBack == 0 && ledger.level == .critical)
    }

    @Test("a small host keeps no more than a quarter")
    func smallHost() {
        var ledger = MemoryLedger(mode: .overcommit, limit: .gibibytes(1))
        ledger.see(HostMemory(available: ByteCount.mebibytes(1000).bytes))
        #expect(ledger.reserve == ByteCount.mebibytes(250).bytes)
        #expect(ledger.level == .ample)
    }

    @Test("shortage comes in steps and eases only for good")
    func levels() {
        var ledger = MemoryLedger(mode: .overcommit, limit: .gibibytes(100))
        func see(_ gibibytes: Double, _ some: Double = 0, _ full: Double = 0) -> MemoryLevel {
            ledger.see(
                HostMemory(
                    available: UInt64(gibibytes * 1_073_741_824), pressure: MemoryPressure(some: some, full: full)))
            return ledger.level
        }
        #expect(see(20) == .ample)
        #expect(see(1.01) == .ample)
        #expect(see(0.9) == .tight)
        #expect(see(1.1) == .tight, "not yet")
        #expect(see(1.3) == .ample)
        #expect(see(0.4) == .critical)
        #expect(ledger.wantedBack == ByteCount.gibibytes(1).bytes - UInt64(0.4 * 1_073_741_824))
        #expect(see(8) == .ample)
        #expect(see(8, 12) == .tight)
        #expect(see(8, 7) == .tight)
        #expect(see(8, 2) == .ample)
        #expect(see(8, 45) == .critical)
        #expect(ledger.wantedBack == 1)
        #expect(see(8, 12, 11) == .critical)
        #expect(see(8, 4) == .ample)
    }
}

@Suite("The watch of memory", .timeLimit(.minutes(1)))
struct MemoryWatchTests {
    private let meter = FakeMeter(available: .gibibytes(20))
    private let sink = RecordingSink()

    private func watch(_ admission: Admission, boots: AsyncSemaphore = AsyncSemaphore(4)) -> MemoryWatch {
        MemoryWatch(
            meter: meter, admission: admission, boots: boots,
            recorder: RunRecorder(sinks: [sink]))
    }

    private func machine(_ number: Int, processID: Int32? = nil) -> RunningMachine {
        RunningMachine(
            number: number, guest: "g-\(number + 1)", group: group("g", count: 9),
            processID: processID ?? Int32(100 + number))
    }

    private var notes: [String] {
        sink.events.compactMap { if case .note(_, let message) = $0 { message } else { nil } }
    }

    @Test("a guest that waits is let in when others turn out to be small")
    func admits() async throws {
        let admission = Admission(
            memory: .mebibytes(700), slots: 9, mode: .overcommit)
        let watch = watch(admission)
        for number in 0..<2 {
            #expect(await admission.acquire(claim(number)))
            await watch.started(machine(number))
        }
        let third = Task { await admission.acquire(claim(2)) }
        for await _ in admission.waits { break }
        #expect(admission.obstacle(to: claim(3)) == .memory(.room(lacking: 200 << 20, of: 300 << 20)))
        for number in 0..<2 {
            meter.set(Int32(100 + number), holds: .mebibytes(40))
            watch.ready(machine(number))
        }
        watch.tick()
        #expect(await third.value)
        #expect(admission.summary.peakGuests == 3 && admission.summary.heldBack == 1)
        #expect(admission.summary.reasons == ["the usable memory was taken"])
    }

    @Test("while the host is short nobody comes and boots go one at a time; that is told once, and its end")
    func holds() async throws {
        let admission = Admission(
            memory: .gibibytes(100), slots: 9, mode: .overcommit)
        let boots = AsyncSemaphore(4)
        let watch = watch(admission, boots: boots)
        watch.tick()
        #expect(await admission.acquire(claim(0)))
        meter.set(available: .mebibytes(900), pressure: MemoryPressure(some: 12.4, full: 3))
        for _ in 0..<5 { watch.tick() }
        try await boots.acquire()
        #expect(!boots.isFree)
        #expect(admission.obstacle(to: claim(1))?.words.contains("900MiB free, less than the reserve of 1GiB") == true)
        let second = Task { await admission.acquire(claim(1)) }
        for await _ in admission.waits { break }
        #expect(admission.shortage == Admission.Shortage(memory: 1, slots: 0))
        #expect(
            notes == [
                "memory is short: 900MiB are free, less than the reserve of 1GiB; processes of this host waited for memory 12 % of "
                    + "the time; new guests wait"
            ])
        meter.set(available: .gibibytes(20))
        watch.tick()
        #expect(await second.value)
        #expect(boots.isFree)
        #expect(notes.count == 2 && notes[1].contains("pressure is over"))
        #expect(admission.summary.reasons == ["the host was short of memory"])
    }

    @Test("idle guests are read ever more rarely, growing ones and those that come up at every tick")
    func samples() async throws {
        let admission = Admission(memory: .gibibytes(100), slots: 9, mode: .overcommit)
        let watch = watch(admission)
        for number in 0..<3 {
            #expect(await admission.acquire(claim(number)))
            await watch.started(machine(number))
            meter.set(Int32(100 + number), holds: .mebibytes(100))
        }
        for number in 0..<2 { watch.ready(machine(number)) }
        for tick in 1...64 {
            meter.set(101, holds: .mebibytes(100 + 10 * UInt64(tick)))
            watch.tick()
        }
        #expect(meter.reads(of: 100) <= 8)
        #expect(meter.reads(of: 101) > 32)
        #expect(meter.reads(of: 102) == 64, "it comes up")
        // While a guest has two machines, both count; one that has gone does not.
        await watch.started(machine(0, processID: 200))
        meter.set(200, holds: .mebibytes(400))
        watch.tick()
        #expect(admission.reclaimable(from: 0) == ByteCount(500 * (1 << 20) / 8 * 9), "an eighth more than it holds")
        await watch.ended(machine(0))
        let before = meter.reads(of: 100)
        watch.tick()
        #expect(meter.reads(of: 200) == 2 && meter.reads(of: 100) == before)
        await watch.ended(machine(0, processID: 200))
        watch.tick()
        #expect(meter.reads(of: 200) == 2)
    }

    @Test(
        "a host that is short has the newest idle guests leave, though they wait for others and nobody waits for them")
    func parks() {
        // All wait for d's.
        var dispatch = Dispatch(
            Schedule(
                tasks: [task("first", on: ["d"]), task("then", on: ["a", "b", "c"], needs: ["first"])],
                guests: ["a", "b", "c", "d"]),
            isRoomy: true)
        let need = Dispatch.Need(shortage: Admission.Shortage(memory: 150 << 20, slots: 0, isPressing: true)) { _ in
            .mebibytes(100)
        }
        for guest in [0, 2, 1, 3] { _ = dispatch.arrive(guest) }
        let idle = (0..<3).flatMap { dispatch.next(for: $0) }
        #expect(idle == [])
        let first = Schedule.Run(task: 0, index: 1, pinned: 3)
        expect(dispatch.next(for: 3), [.order(guest: 3, .run(first))])
        let parked = [1, 2].flatMap { guest -> [Dispatch.Effect] in
            [.park(guest: guest, isPressing: true), .order(guest: guest, .makeRoom(early: true))]
        }
        expect(dispatch.makeRoom(need), parked, "the newest first, as many as are needed")
        expect(dispatch.makeRoom(need), [], "each once")
        let departed = [1, 2].flatMap { dispatch.depart($0) }
        #expect(departed == [])
        let then = Schedule.Run(task: 1, index: 1, pinned: 0)
        expect(dispatch.finish(first, success: true), [.order(guest: 0, .run(then))])
        expect(dispatch.waitForWork(1), [.boot(guest: 1, true)], "it comes back for its work")
    }
}

@Suite("Labs under overcommit", .timeLimit(.minutes(1)))
struct OvercommitRunTests {
    @Test("more guests than were promised memory run at once, and the report says how it went")
    func runs() async throws {
        let names = (1...10).map { "g-\($0)" }
        var lab = TestLab(
            groups: [group("g", count: 10, memory: .gibibytes(5))], tasks: [task("t", on: names)],
            limit: .gibibytes(12), admission: .overcommit, meter: FakeMeter(available: .gibibytes(12)))
        let plan = try lab.plan()
        #expect(plan.batches == 1 && plan.guestsAtOnce(.strict) == 2 && plan.guestsAtOnce(.overcommit) == 10)
        let run = try await lab.run()
        #expect(run.status == .passed)
        let summary = try #require(
            run.events.compactMap { if case .admissionEnded(let summary) = $0 { summary } else { nil } }.first)
        #expect(summary.mode == "overcommit" && summary.peakGuests == 10 && summary.heldBack == 0)
        lab.admission = .strict
        lab.backend = ShellBackend()
        #expect(try await lab.run().census.peak == 2)
    }

    @Test("on a host that is short from the beginning guests come one after the other, and all come")
    func short() async throws {
        let names = (1...4).map { "g-\($0)" }
        let meter = FakeMeter(available: .gibibytes(12), pressure: MemoryPressure(some: 20, full: 0))
        let lab = TestLab(
            groups: [group("g", count: 4, memory: .gibibytes(5))],
            tasks: [task("t", on: names), task("u", on: ["g-1"], needs: ["t"])],
            limit: .gibibytes(12), admission: .overcommit, meter: meter)
        let run = try await lab.run()
        #expect(run.status == .passed)
        #expect(run.census.starts.count == 4)
    }
}
