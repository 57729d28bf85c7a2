import Testing

@testable import GuestControl

/// What a machine's events come to, without any machine.
@Suite struct PowerStateTests {
    @Test func aGuestThatPowersItselfOffIsLostUnlessThatWasAwaited() {
        var power = PowerState()
        // Its process ends, which tells.
        let endsItself = power.wasShutDown()
        #expect(!endsItself && power.isOff)
        power = PowerState()
        power.willStay()
        let isLost = power.wasShutDown()
        #expect(isLost && power.isOff)
        power = PowerState()
        power.willStay()
        let shutdown = power.expectShutdown()
        let isLostThough = power.wasShutDown()
        #expect(!isLostThough && shutdown.current != nil)
        power.expectNoShutdown()
        let isLostLater = power.wasShutDown()
        #expect(isLostLater)
    }

    @Test func resetsThatTheHostAskedForAreToldFromOthers() {
        var power = PowerState()
        let first = power.wasReset().isWanted
        #expect(!first)
        power.willReset()
        power.willPowerOn()
        let resets = (0..<3).map { _ in power.wasReset().isWanted }
        #expect(resets == [true, true, false])
    }

    @Test func aResetFulfilsWhatWasExpectedLast() {
        var power = PowerState()
        let first = power.expectReset()
        let second = power.expectReset()
        power.wasReset().awaited.fulfil()
        #expect(first.current == nil && second.current != nil)
    }

    @Test func whatIsPoweredOnIsOnAndEndsAgainWhenItGoesOff() {
        var power = PowerState()
        power.willStay()
        _ = power.wasShutDown()
        power.willPowerOn()
        power.isPoweredOn()
        #expect(!power.isOff && !power.staysWhenOff)
    }
}
