import HostSystem
/// The state of a guest's boot as its kernel's console shows it: how far it is, and what holds it up. A value.
public struct BootWatch: Sendable {
    /// How long a guest may do what before it is given up.
    public struct Patience: Sendable, Hashable {
        /// Silence after a message that the guest does not recover from.
        public var stall: Duration
        /// Say nothing at all.
        public var silence: Duration

        /// The patience with a guest that must be ready within `time`: it grows with that, as slow hosts are given more of it.
        public init(within time: Duration) {
            stall = min(max(time / 60, .seconds(2)), .seconds(10))
            silence = time / 6
        }
    }

    /// So many resets are no system's way of getting ready.
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

    /// The guest reset itself. Returns the trouble where it does so over and over.
    public mutating func reset(at time: ContinuousClock.Instant = HostClock.now) -> BootTrouble? {
        resets += 1
        dialogue = ConsoleDialogue()
        lastStep = time
        guard resets >= Self.mostResets else { return nil }
        return .resets(resets, within: time - begun)
    }

    /// When `check` may next find something.
    public func nextCheck(_ patience: Patience) -> ContinuousClock.Instant {
        lastStep + (isSilent ? patience.silence : patience.stall)
    }

    /// What holds the guest up, if that is known by now. `hasSerialWords`: whether its kernel's command line asks it to use
    /// the serial port; nil where it boots by itself from a disk.
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
