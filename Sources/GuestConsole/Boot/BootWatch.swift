import HostSystem
/// The state of a guest's boot as its kernel's console shows it: its stage and what blocks it. A value.
public struct BootWatch: Sendable {
    /// Time limits after which a guest is given up.
    public struct Patience: Sendable, Hashable {
        /// Silence after a message that the guest does not recover from.
        public var stall: Duration
        /// No output at all.
        public var silence: Duration

        /// The limits for a guest that must be ready within `time`: they grow with it, because slow hosts get more time.
        public init(within time: Duration) {
            stall = min(max(time / 60, .seconds(2)), .seconds(10))
            silence = time / 6
        }
    }

    /// More resets than any system needs to become ready.
    public static let mostResets = 5

    private var dialogue = ConsoleDialogue()
    private let begun: ContinuousClock.Instant
    private var lastStep: ContinuousClock.Instant
    private var resets = 0
    private var usesOtherPort = false

    /// A watch over a guest that starts now.
    public init(at time: ContinuousClock.Instant = HostClock.now) {
        begun = time
        lastStep = time
    }

    /// How far the guest is.
    public var stage: BootStage { dialogue.stage }

    /// Whether the guest waits for a login on its kernel's console.
    public var isAtLogin: Bool { dialogue.lastLine.hasSuffix("login:") }

    /// Receives the next output of the kernel's console.
    public mutating func receive(_ bytes: ArraySlice<UInt8>, at time: ContinuousClock.Instant = HostClock.now) {
        let revision = dialogue.revision
        dialogue.receive(bytes)
        if dialogue.revision != revision { lastStep = time }
    }

    /// The guest printed something on its other port.
    public mutating func receiveElsewhere() { usesOtherPort = true }

    /// The guest reset itself. Returns the trouble when that repeats.
    public mutating func reset(at time: ContinuousClock.Instant = HostClock.now) -> BootTrouble? {
        resets += 1
        dialogue = ConsoleDialogue()
        lastStep = time
        guard resets >= Self.mostResets else { return nil }
        return .resets(resets, within: time - begun)
    }

    /// The next time at which `check` may find something.
    public func nextCheck(_ patience: Patience) -> ContinuousClock.Instant {
        lastStep + (isSilent ? patience.silence : patience.stall)
    }

    /// What blocks the guest, if known. `hasSerialWords`: whether the kernel's command line selects the serial port; nil for a disk
    /// boot.
    public mutating func check(
        _ patience: Patience, hasSerialWords: Bool?, at time: ContinuousClock.Instant = HostClock.now
    ) -> BootTrouble? {
        guard time >= nextCheck(patience) else { return nil }
        defer { lastStep = time }
        if isSilent { return .silence(of: time - begun, hasSerialWords: hasSerialWords) }
        return BootTrouble.find(BootTrouble.known, in: dialogue)
    }

    private var isSilent: Bool { stage == .silent && !usesOtherPort }
}
