import HostSystem
import LabSpec
import Quantities

/// What a guest asks room for.
package struct Claim: Sendable, Hashable {
    /// Its number in the run; nil for what is never measured.
    var guest: Int?
    /// Its group: equal guests come to hold about the same.
    var group = ""
    /// RAM and the machine's overhead: the most it may come to.
    var nominal: ByteCount
    /// What it is reckoned at under overcommit, until guests of its group have been measured.
    var start: ByteCount

    /// A claim to this much, neither more nor less.
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

/// How short memory is.
package enum MemoryLevel: Int, Comparable {
    /// Guests come as they fit.
    case ample
    /// New guests wait.
    case tight
    /// New guests wait, and idle ones leave.
    case critical

    package static func < (left: MemoryLevel, right: MemoryLevel) -> Bool { left.rawValue < right.rawValue }
}

/// Who holds how much of the budget, as a plain value.
///
/// Strict: what guests may come to. Overcommit: what they are measured to hold, and for those that have only begun what
/// their group has come to before, with the host's own reading of what is left as a second limit.
package struct MemoryLedger {
    /// Measured memory is reckoned with an eighth more: a guest that works grows.
    private static let growth: UInt64 = 8
    /// What stays free: a twentieth of what was there when the run began, at least 512 MiB but no more than a quarter.
    private static let reserveShare: UInt64 = 20
    private static let leastReserve: UInt64 = 512 << 20
    /// Percent of time that some task waited for memory: from here on new guests wait, and from there on idle ones leave.
    /// A host that swaps or reclaims in earnest is far above; ordinary reclaim of page cache stays below one.
    private static let tightPressure = 10.0
    private static let criticalPressure = 40.0
    /// Percent of time that all of them did.
    private static let criticalFullPressure = 10.0

    private struct Entry {
        var group: String
        var nominal: UInt64
        /// Its share of the budget.
        var charge: UInt64
        /// What it held when it was last measured.
        var held: UInt64 = 0
        /// The most it ever held once it was up; nil until then.
        var most: UInt64?

        /// What it has yet to take from the host.
        var outstanding: UInt64 { charge > held ? charge - held : 0 }
    }

    /// What guests of a group came to hold.
    private struct Experience {
        var guests: UInt64 = 0
        var sum: UInt64 = 0
        /// The mean for which guests were last reckoned anew.
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
    /// What is to stay free on the host; known with its first reading.
    private(set) var reserve: UInt64 = 0

    init(mode: AdmissionMode, limit: ByteCount) {
        self.mode = mode
        self.limit = limit.bytes
    }

    /// What a guest is reckoned at now.
    func cost(of claim: Claim) -> UInt64 {
        guard mode == .overcommit else { return claim.nominal.bytes }
        guard let known = experiences[claim.group], known.guests > 0 else {
            return min(claim.start.bytes, claim.nominal.bytes)
        }
        return min(Self.withGrowth(known.sum / known.guests), claim.nominal.bytes)
    }

    /// Bytes that a further guest may be reckoned at.
    var room: UInt64 {
        let budget = limit > charged ? limit - charged : 0
        guard mode == .overcommit, let host else { return budget }
        let (kept, overflow) = reserve.addingReportingOverflow(outstanding)
        return min(budget, overflow || kept >= host.available ? 0 : host.available - kept)
    }

    /// What keeps a guest out.
    package enum Obstacle: Hashable {
        /// So many bytes are lacking of those it is reckoned at.
        case room(lacking: UInt64, of: UInt64)
        /// The host is short of memory.
        case pressure(HostMemory, reserve: UInt64)
    }

    /// What keeps a guest out; nil when nothing does. Under overcommit the first guest of all is always let in: there is
    /// nobody to wait for.
    func obstacle(to claim: Claim) -> Obstacle? {
        if mode == .overcommit {
            if count == 0 { return nil }
            if level >= .tight, let host { return .pressure(host, reserve: reserve) }
        }
        let (cost, room) = (cost(of: claim), room)
        return cost > room ? .room(lacking: cost - room, of: cost) : nil
    }

    /// What sending guests away is to bring; 0 unless the host is critically short. Who has left since the host was read has
    /// brought his part.
    private(set) var wantedBack: UInt64 = 0

    /// Lets a guest in.
    mutating func take(_ claim: Claim) {
        let charge = cost(of: claim)
        count += 1
        charged = Self.sum(charged, charge)
        guard mode == .overcommit, let guest = claim.guest else { return }
        entries[guest] = Entry(group: claim.group, nominal: claim.nominal.bytes, charge: charge)
        outstanding = Self.sum(outstanding, charge)
    }

    /// A guest has left.
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

    /// What a guest's departure would give back; nil where guests are not told apart.
    func reclaimable(from guest: Int) -> UInt64? { entries[guest].map { max($0.held, $0.charge) } }

    /// A guest was measured. Until it `isUp` it is reckoned at what its group has come to, or at more if it holds more.
    mutating func measure(_ guest: Int, holds held: UInt64, isUp: Bool) {
        // Taken out meanwhile: what it teaches about its group is no news to itself.
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

    /// The host was read. Says whether it is now short where it was not, or the other way round.
    @discardableResult
    mutating func see(_ host: HostMemory) -> Bool {
        if self.host == nil {
            reserve = max(min(Self.leastReserve, host.available / 4), host.available / Self.reserveShare)
        }
        self.host = host
        let before = level
        level = newLevel(of: host)
        // Where only stalls tell of it, one guest at a time.
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
        // It must ease for good before guests come again, or they would come and go.
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

    /// Guests that were let in for less than their group comes to will come to it too.
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
