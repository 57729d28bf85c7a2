import HostSystem

/// A machine's power: what the host has asked of it, and what its events said. A value, for one lock.
struct PowerState: Sendable {
    /// The guest has powered itself off.
    private(set) var isOff = false
    /// The machine stays when the guest powers itself off: no end of its process will tell.
    private(set) var staysWhenOff = false
    /// Fulfilled when the guest powers itself off as the host asked it to; nil while that is not awaited.
    private var awaitedShutdown: Completion<Void>?
    /// Fulfilled at the next reset.
    private var nextReset = Completion<Void>()
    /// Resets that the host asked for and has not been told of.
    private var wantedResets = 0

    /// What the next reset fulfils.
    mutating func expectReset() -> Completion<Void> {
        nextReset = Completion()
        return nextReset
    }

    /// What the next shutdown fulfils, which is no loss then; until `expectNoShutdown`.
    mutating func expectShutdown() -> Completion<Void> {
        let shutdown = Completion<Void>()
        awaitedShutdown = shutdown
        return shutdown
    }

    mutating func expectNoShutdown() { awaitedShutdown = nil }

    /// The host will reset the machine.
    mutating func willReset() { wantedResets += 1 }

    /// The machine stays from now on when the guest powers itself off.
    mutating func willStay() { staysWhenOff = true }

    /// The host will power the machine on, which is a reset.
    mutating func willPowerOn() {
        isOff = false
        wantedResets += 1
    }

    /// It is on again, and ends when the guest powers itself off.
    mutating func isPoweredOn() { staysWhenOff = false }

    /// The guest has powered itself off. True where that is the guest's loss, and nothing else will tell.
    mutating func wasShutDown() -> Bool {
        isOff = true
        guard let awaitedShutdown else { return staysWhenOff }
        awaitedShutdown.fulfil()
        return false
    }

    /// The machine was reset: whether the host asked for that, and what is to be fulfilled once it has been dealt with.
    mutating func wasReset() -> (isWanted: Bool, awaited: Completion<Void>) {
        defer { wantedResets = max(0, wantedResets - 1) }
        return (wantedResets > 0, nextReset)
    }
}
