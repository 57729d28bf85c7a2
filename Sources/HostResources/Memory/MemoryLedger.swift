import HostSystem
import LabSpec
import Quantities

/// A guest's claim to memory.
package struct Claim: Sendable, Hashable {
    /// The guest's number in the run; nil for a claim that is never measured.
    var guest: Int?
    /// The guest's group: guests of a group are expected to use about the same memory.
    var group = ""
    /// RAM plus the machine's overhead: the most it can use.
    var nominal: ByteCount
    /// What it is charged under overcommit until guests of its group have been measured.
    var start: ByteCount

    /// A claim to exactly this much.
    package init(_ cost: ByteCount) {
        nominal = cost
        start = cost
    }

    package init(guest: Int, group: String, nominal: ByteCount, start: ByteCount) {
        self.guest = guest
        self.group = group
        self.nominal = nominal
        self.start = start
    }
}

/// The host's memory pressure.
package enum MemoryLevel: Int, Comparable {
    /// Guests are admitted as they fit.
    case ample
    /// New guests wait.
    case tight
    /// New guests wait, and idle ones are parked.
    case critical

    package static func < (left: MemoryLevel, right: MemoryLevel) -> Bool { left.rawValue < right.rawValue }
}

/// The memory accounts of the guests, as a plain value. Strict admission charges a guest the most it can use. Overcommit charges
/// what was measured, or for a new guest the mean of its group; the host's available memory is a second limit.
package struct MemoryLedger {
    /// One eighth is added to measured memory, because a working guest grows.
    private static let growth: UInt64 = 8
    /// The reserve to keep free: a twentieth of the memory available when the run began, at least 512 MiB but no more than a
    /// quarter.
    private static let reserveShare: UInt64 = 20
    private static let leastReserve: UInt64 = 512 << 20
    /// Percent of time in which some task stalled on memory (PSI `some`): from `tight` on new guests wait, from `critical` on
    /// idle ones are parked. Hosts that swap or reclaim heavily are far above; reclaim of page cache alone stays below 1.
    private static let tightPressure = 10.0
    private static let criticalPressure = 40.0
    /// Percent of time in which all tasks stalled (PSI `full`) from which idle guests are parked.
    private static let criticalFullPressure = 10.0

    private struct Entry {
        var group: String
        var nominal: UInt64
        /// The guest's charge to the budget, in bytes.
        var charge: UInt64
        /// What it held at the last measurement.
        var held: UInt64 = 0
        /// Its peak since it was up; nil until then.
        var most: UInt64?

        /// The part of the charge that it does not hold yet.
        var outstanding: UInt64 { charge > held ? charge - held : 0 }
    }

    /// The measurements of a group's guests.
    private struct Experience {
        var guests: UInt64 = 0
        var sum: UInt64 = 0
        /// The mean at the last recalculation of the group's charges.
        var reckoned: UInt64 = 0
    }

    let mode: AdmissionMode
    let limit: UInt64
    private(set) var charged: UInt64 = 0
    private(set) var count = 0
    private(set) var level = MemoryLevel.ample
    private var outstanding: UInt64 = 0
    private var entries: [Int: Entry] = [:]
    private var experiences: [String: Experience] = [:]
    private var host: HostMemory?
    /// Bytes to keep free on the host; set by the first reading.
    private(set) var reserve: UInt64 = 0

    init(mode: AdmissionMode, limit: ByteCount) {
        self.mode = mode
        self.limit = limit.bytes
    }

    /// The charge for a claim at this moment.
    func cost(of claim: Claim) -> UInt64 {
        guard mode == .overcommit else { return claim.nominal.bytes }
        guard let known = experiences[claim.group], known.guests > 0 else {
            return min(claim.start.bytes, claim.nominal.bytes)
        }
        return min(Self.withGrowth(known.sum / known.guests), claim.nominal.bytes)
    }

    /// Bytes that are left for further guests.
    var room: UInt64 {
        let budget = limit > charged ? limit - charged : 0
        guard mode == .overcommit, let host else { return budget }
        let (kept, overflow) = reserve.addingReportingOverflow(outstanding)
        return min(budget, overflow || kept >= host.available ? 0 : host.available - kept)
    }

    /// Why a guest has to wait.
    package enum Obstacle: Hashable {
        /// The charge exceeds the free budget by this many bytes.
        case room(lacking: UInt64, of: UInt64)
        /// The host is short of memory.
        case pressure(HostMemory, reserve: UInt64)
    }

    /// Why a claim has to wait; nil when it fits. Under overcommit the first guest is always admitted: no other could free memory.
    func obstacle(to claim: Claim) -> Obstacle? {
        if mode == .overcommit {
            if count == 0 { return nil }
            if level >= .tight, let host { return .pressure(host, reserve: reserve) }
        }
        let (cost, room) = (cost(of: claim), room)
        return cost > room ? .room(lacking: cost - room, of: cost) : nil
    }

    /// Bytes that parking guests has to free; 0 unless memory is critical. Reduced by each guest that leaves after the reading.
    private(set) var wantedBack: UInt64 = 0

    /// Charges an admitted guest.
    mutating func take(_ claim: Claim) {
        let charge = cost(of: claim)
        count += 1
        charged = Self.sum(charged, charge)
        guard mode == .overcommit, let guest = claim.guest else { return }
        entries[guest] = Entry(group: claim.group, nominal: claim.nominal.bytes, charge: charge)
        outstanding = Self.sum(outstanding, charge)
    }

    /// Releases a guest's charge.
    mutating func give(_ claim: Claim) {
        count -= min(count, 1)
        if mode == .overcommit, let guest = claim.guest, let entry = entries.removeValue(forKey: guest) {
            charged -= min(charged, entry.charge)
            outstanding -= min(outstanding, entry.outstanding)
            wantedBack -= min(wantedBack, max(entry.held, 1))
        } else {
            charged -= min(charged, claim.nominal.bytes)
        }
    }

    /// What the guest would free by leaving; nil under strict admission.
    func reclaimable(from guest: Int) -> UInt64? { entries[guest].map { max($0.held, $0.charge) } }

    /// Updates a guest's memory. Until it `isUp` it is charged its group's mean, or what it holds if that is more.
    mutating func measure(_ guest: Int, holds held: UInt64, isUp: Bool) {
        // Removed during the update, so that raising the group does not affect it.
        guard var entry = entries.removeValue(forKey: guest) else { return }
        outstanding -= min(outstanding, entry.outstanding)
        charged -= min(charged, entry.charge)
        entry.held = held
        if isUp {
            learn(entry, held)
            entry.most = max(entry.most ?? 0, held)
            entry.charge = min(Self.withGrowth(held), max(entry.nominal, held))
        } else {
            entry.charge = max(entry.charge, held)
        }
        entries[guest] = entry
        outstanding = Self.sum(outstanding, entry.outstanding)
        charged = Self.sum(charged, entry.charge)
    }

    /// Updates the host's memory. Returns whether it became short or stopped being short.
    @discardableResult
    mutating func see(_ host: HostMemory) -> Bool {
        if self.host == nil {
            reserve = max(min(Self.leastReserve, host.available / 4), host.available / Self.reserveShare)
        }
        self.host = host
        let before = level
        level = newLevel(of: host)
        // When only stalls show the shortage, one guest at a time is parked.
        wantedBack = level < .critical ? 0 : reserve > host.available ? reserve - host.available : 1
        return (before == .ample) != (level == .ample)
    }

    private func newLevel(of host: HostMemory) -> MemoryLevel {
        let pressure = host.pressure ?? MemoryPressure(some: 0, full: 0)
        if host.available < reserve / 2 || pressure.some >= Self.criticalPressure
            || pressure.full >= Self.criticalFullPressure
        {
            return .critical
        }
        if host.available < reserve || pressure.some >= Self.tightPressure { return .tight }
        // Hysteresis: without it guests would be admitted and parked in turn.
        let hasEased = host.available >= reserve + reserve / 4 && pressure.some < Self.tightPressure / 2
        return level == .ample || hasEased ? .ample : .tight
    }

    private mutating func learn(_ entry: Entry, _ held: UInt64) {
        var known = experiences[entry.group] ?? Experience()
        if let most = entry.most {
            if held > most { known.sum = Self.sum(known.sum, held - most) }
        } else {
            known.guests += 1
            known.sum = Self.sum(known.sum, held)
        }
        let mean = known.sum / max(known.guests, 1)
        if mean > Self.withGrowth(known.reckoned) {
            known.reckoned = mean
            raise(entry.group, to: mean)
        }
        experiences[entry.group] = known
    }

    /// Raises the charge of guests that were admitted for less than the group's mean.
    private mutating func raise(_ group: String, to mean: UInt64) {
        for (guest, entry) in entries where entry.group == group && entry.most == nil {
            let charge = max(entry.charge, min(Self.withGrowth(mean), entry.nominal))
            outstanding = Self.sum(outstanding - min(outstanding, entry.outstanding), charge - min(charge, entry.held))
            charged = Self.sum(charged - min(charged, entry.charge), charge)
            entries[guest]?.charge = charge
        }
    }

    private static func withGrowth(_ bytes: UInt64) -> UInt64 { sum(bytes, bytes / growth) }

    private static func sum(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let (sum, overflow) = left.addingReportingOverflow(right)
        return overflow ? .max : sum
    }
}
