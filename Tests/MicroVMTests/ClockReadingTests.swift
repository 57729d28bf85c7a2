import Testing

@testable import MicroVM

@Suite("A guest's clocks at one moment")
struct ClockReadingTests {
    /// Clocks of a host on which each look takes so many nanoseconds, with a counter of 2 GHz that began at 1000.
    private final class Host {
        var now: UInt64 = 0
        var durations: [UInt64]

        init(_ durations: [UInt64]) { self.durations = durations }

        func look() { now += durations.isEmpty ? 100 : durations.removeFirst() }

        func reading() -> ClockReading? {
            ClockReading {
                look()
                return now
            } timeStamp: {
                look()
                return 1000 + 2 * now
            }
        }
    }

    @Test("The counter is read in the middle of the two closest readings of the clock")
    func reading() {
        // A host that is busy at first.
        let reading = Host([10, 500_000, 500_000, 40_000, 10_000]).reading()
        #expect(reading == ClockReading(nanoseconds: 1_050_110, timeStamp: 1000 + 2 * 1_050_110))
        #expect(ClockReading(clock: { nil }, timeStamp: { 1 }) == nil)
        #expect(ClockReading(clock: { 5 }, timeStamp: { nil }) == ClockReading(nanoseconds: 5))
        // However busy it is, that ends.
        #expect(Host([UInt64](repeating: 1_000_000, count: 100)).reading() != nil)
    }

    @Test("A counter that ran while the clock stood goes back by that")
    func correction() {
        let saved = ClockReading(nanoseconds: 1_000_000, timeStamp: 50_000)
        let now = ClockReading(nanoseconds: 1_500_000, timeStamp: 50_000 + 1_000_000 + 7)
        #expect(saved.correction(at: now, kilohertz: 2_000_000) == 0 &- 7)
        #expect(saved.correction(at: saved, kilohertz: 2_000_000) == 0)
        #expect(saved.correction(at: ClockReading(nanoseconds: 1_500_000), kilohertz: 1) == nil)
        // A clock that went back says nothing.
        #expect(now.correction(at: saved, kilohertz: 2_000_000) == nil)
        let wide = ClockReading(nanoseconds: 59_000_000_000, timeStamp: 0)
        #expect(ClockReading(nanoseconds: 0, timeStamp: .max).correction(at: wide, kilohertz: 4_000_000) != nil)
        #expect(ClockReading(nanoseconds: 0, timeStamp: .max).correction(at: wide, kilohertz: .max) == nil)
    }
}
