import HostSystem

/// A machine's power state: the host's requests and the machine's events. A value, for use under one lock.
struct PowerState: Sendable {
    /// The guest has powered itself off.
    private(set) var isOff = false
    /// The machine stays when the guest powers itself off, so its process does not exit.
    private(set) var staysWhenOff = false
    /// Fulfilled when the guest powers itself off as requested; nil when no shutdown is expected.
    private var awaitedShutdown: Completion<Void>?
    /// Fulfilled at the next reset.
    private var nextReset = Completion<Void>()
    /// Resets that the host requested and that were not reported yet.
    private var wantedResets = 0

    mutating func expectReset() -> Completion<Void> {
        nextReset = Completion()
        return nextReset
    }

    /// A completion for the next shutdown, which is then no loss; until `expectNoShutdown`.
    mutating func expectShutdown() -> Completion<Void> {
        let shutdown = Completion<Void>()
        awaitedShutdown = shutdown
        return shutdown
    }

    mutating func expectNoShutdown() { awaitedShutdown = nil }

    mutating func willReset() { wantedResets += 1 }

    mutating func willStay() { staysWhenOff = true }

    /// The host will power the machine on, which is a reset.
    mutating func willPowerOn() {
        isOff = false
        wantedResets += 1
    }

    /// The machine is on again, and ends when the guest powers itself off.
    mutating func isPoweredOn() { staysWhenOff = false }

    /// The guest has powered itself off. True when that is a loss that no other event reports.
    mutating func wasShutDown() -> Bool {
        isOff = true
        guard let awaitedShutdown else { return staysWhenOff }
        awaitedShutdown.fulfil()
        return false
    }

    /// The machine was reset. Returns whether the host requested it, and the completion to fulfil after handling it.
    mutating func wasReset() -> (isWanted: Bool, awaited: Completion<Void>) {
        defer { wantedResets = max(0, wantedResets - 1) }
        return (wantedResets > 0, nextReset)
    }
}
