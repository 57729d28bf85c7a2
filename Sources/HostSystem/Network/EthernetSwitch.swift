import Glibc
import Synchronization

/// An Ethernet switch between processes, without root: a Unix datagram socket that receives one frame per datagram and forwards
/// it to its destination ports.
///
/// It learns the addresses behind each port, and floods broadcasts, multicasts and unknown destinations. Frames for a port whose
/// queue is full are dropped; other ports are unaffected.
public final class EthernetSwitch: Sendable {
    /// Counters, in frames.
    public struct Statistics: Sendable, Hashable {
        /// Received from a port and well-formed.
        public var received = 0
        /// Queued for one port because its address was known.
        public var forwarded = 0
        /// Queued for all other ports.
        public var flooded = 0
        /// Dropped: full queue, unknown port, or malformed frame.
        public var dropped = 0
    }

    /// Where the ports send their frames.
    public let path: String

    /// Frames queued for a slow port; some hundred kilobytes.
    static let queueLimit = 256
    /// Learned addresses; beyond it the switch floods.
    static let addressLimit = 4096

    private struct State {
        var ports: [String: SwitchPort] = [:]
        var addresses: [UInt64: String] = [:]
        var statistics = Statistics()
    }

    private let descriptor: Mutex<OwnedDescriptor>
    private let state = Mutex(State())
    private let readiness = Mutex<Readiness?>(nil)

    /// Creates the switch's socket at `path`, which must not exist. Throws the kernel's error.
    public init(path: String) throws(SystemCallError) {
        let address = try UnixAddress(path)
        let socket = try StreamSocket.makeSocket(SOCK_DGRAM)
        try systemCall("bind", path) { address.with { bind(socket.number, $0, $1) } }
        try socket.setNonBlocking()
        let number = socket.number
        self.path = path
        descriptor = Mutex(socket)
        try readiness.withLock { (readiness: inout Readiness?) throws(SystemCallError) in
            readiness = try Readiness(of: number) { [weak self] in self?.receive() }
        }
    }

    deinit { close() }

    /// Adds the port whose process receives at `path`, which need not exist yet. Throws `ENAMETOOLONG` beyond 107 bytes.
    public func attach(_ path: String) throws(SystemCallError) {
        guard path.utf8.count <= UnixAddress.longest else { throw SystemCallError("bind", errno: ENAMETOOLONG, path) }
        let port = SwitchPort(path) { [weak self] in self?.state.withLock { $0.statistics.dropped += 1 } }
        let former = state.withLock { $0.ports.updateValue(port, forKey: path) }
        former?.close()
    }

    /// Removes a port. Safe to repeat.
    public func detach(_ path: String) {
        let port = state.withLock { state in
            state.addresses = state.addresses.filter { $0.value != path }
            return state.ports.removeValue(forKey: path)
        }
        port?.close()
    }

    /// The counters so far.
    public var statistics: Statistics { state.withLock { $0.statistics } }

    /// Closes it and removes its socket. Safe to repeat.
    public func close() {
        readiness.withLock { $0.take() }?.end()
        descriptor.withLock { descriptor in
            guard descriptor.isOpen else { return }
            descriptor.close()
            unlink(path)
        }
        let ports = state.withLock { state in
            defer { state.ports = [:] }
            return Array(state.ports.values)
        }
        for port in ports { port.close() }
    }

    /// Receives pending frames on the event loop's thread; after some frames it yields to other handlers.
    private func receive() {
        for _ in 0..<64 {
            guard let (frame, sender) = descriptor.withLock({ Self.receiveOne($0.number) }) else { return }
            handle(frame, from: sender)
        }
    }

    private static func receiveOne(_ number: Int32) -> (frame: [UInt8], sender: String)? {
        guard number >= 0 else { return nil }
        var address = sockaddr_un()
        var length = socklen_t(MemoryLayout<sockaddr_un>.size)
        // The longest frame QEMU sends is that of a 64 KiB offloaded packet and its headers.
        let limit = 68 * 1024
        var received = -1
        let frame = [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
            received = withUnsafeMutablePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    recvfrom(number, buffer.baseAddress, limit, Int32(MSG_DONTWAIT), $0, &length)
                }
            }
            count = max(received, 0)
        }
        guard received >= 0 else { return nil }
        let pathLength = max(0, Int(length) - MemoryLayout<sa_family_t>.size)
        let sender = withUnsafeBytes(of: &address.sun_path) { bytes in
            String(decoding: bytes.prefix(pathLength).prefix { $0 != 0 }, as: UTF8.self)
        }
        // The sending socket's frames come from the port's path plus suffix.
        let suffix = DatagramSocket.senderSuffix
        return (Array(frame[...]), sender.hasSuffix(suffix) ? String(sender.dropLast(suffix.count)) : sender)
    }

    private func handle(_ frame: [UInt8], from sender: String) {
        let targets = state.withLock { state -> [SwitchPort] in
            guard frame.count >= 14, state.ports[sender] != nil else {
                state.statistics.dropped += 1
                return []
            }
            state.statistics.received += 1
            let (target, source) = (Self.address(frame[0..<6]), Self.address(frame[6..<12]))
            // The lowest bit of the first byte marks a group address; no card has one.
            if frame[6] & 1 == 0 && (state.addresses[source] != nil || state.addresses.count < Self.addressLimit) {
                state.addresses[source] = sender
            }
            if frame[0] & 1 == 0, let known = state.addresses[target], let port = state.ports[known] {
                if known == sender { return [] }
                state.statistics.forwarded += 1
                return [port]
            }
            state.statistics.flooded += 1
            return state.ports.values.filter { $0.path != sender }
        }
        for port in targets { port.send(frame) }
    }

    private static func address(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        bytes.reduce(0) { $0 << 8 | UInt64($1) }
    }
}

/// One port: a queue and the task that empties it.
private final class SwitchPort: Sendable {
    let path: String
    private let queue: AsyncStream<[UInt8]>.Continuation
    private let sender: Task<Void, Never>
    private let drop: @Sendable () -> Void

    init(_ path: String, drop: @escaping @Sendable () -> Void) {
        self.path = path
        self.drop = drop
        let (frames, queue) = AsyncStream<[UInt8]>.makeStream(
            bufferingPolicy: .bufferingOldest(EthernetSwitch.queueLimit))
        self.queue = queue
        sender = Task.detached {
            // Connected, so that the descriptor is writable when the receiver has room.
            var connection: StreamSocket?
            for await frame in frames {
                do {
                    if connection == nil { connection = try StreamSocket.connect(to: path, kind: SOCK_DGRAM) }
                    try await connection?.write(frame)
                } catch {
                    // Not bound yet, or gone: it may be bound again at the same path.
                    connection = nil
                    drop()
                }
            }
        }
    }

    func send(_ frame: [UInt8]) {
        if case .dropped = queue.yield(frame) { drop() }
    }

    func close() {
        queue.finish()
        sender.cancel()
    }
}
