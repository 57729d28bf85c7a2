import Glibc
import HostSystem

/// Where a serial port's input comes from.
struct SerialInput: ~Copyable {
    let stream: HostStream
    /// nil when it cannot be watched, as a file cannot: it is always ready.
    var watch: Reactor.Watch?
    /// Whether the UART had no room, so that its call is waited for and not the descriptor.
    var isPaused = false
    /// The escape key, where a user types.
    var escape: EscapeKey?

    init(stream: consuming HostStream, escape: EscapeKey? = nil) {
        self.stream = stream
        self.escape = escape
    }
}

/// Where a serial port's output goes, with what of it could not be written yet.
struct SerialOutput: ~Copyable {
    let stream: HostStream
    /// nil when it cannot be watched, as a file cannot: it always takes everything.
    var watch: Reactor.Watch?
    /// Whether the descriptor is watched for room.
    var isBlocked = false
    private var pending: [UInt8]
    private var written = 0

    /// An end that first of all writes `pending`.
    init(stream: consuming HostStream, pending: [UInt8] = []) {
        self.stream = stream
        self.pending = pending
    }

    /// The descriptor to wait for.
    var number: Int32 { stream.number }

    /// Whether everything is written.
    var isIdle: Bool { written == pending.count }

    /// Gives new bytes to write once it is idle, in exchange for a buffer to use again.
    mutating func exchange(_ bytes: inout [UInt8]) {
        swap(&pending, &bytes)
        written = 0
    }

    /// Writes as much as goes; false when the other side is gone.
    mutating func flush() -> Bool {
        isBlocked = false
        while written < pending.count {
            let outcome = pending.withUnsafeBytes { stream.write(UnsafeRawBufferPointer(rebasing: $0[written...])) }
            switch outcome {
            case .moved(let count): written += count
            case .blocked:
                isBlocked = true
                return true
            case .ended: return false
            }
        }
        return true
    }
}

/// The key that leaves a raw terminal: control-A, then x. Control-A twice types one; before any other key it is dropped.
struct EscapeKey: Sendable {
    private static let prefix: UInt8 = 0x01
    private var isArmed = false
    private let onQuit: @Sendable () -> Void

    /// `onQuit` is called on the reactor's thread.
    init(onQuit: @escaping @Sendable () -> Void) {
        self.onQuit = onQuit
    }

    /// What of these keys is for the guest.
    mutating func filter(_ bytes: some Collection<UInt8>) -> [UInt8] {
        bytes.filter { byte in
            if !isArmed {
                isArmed = byte == Self.prefix
                return !isArmed
            }
            isArmed = false
            if byte == UInt8(ascii: "x") { onQuit() }
            return byte != UInt8(ascii: "x")
        }
    }
}
