import HostSystem
import Synchronization

/// A network card (virtio 1.2, 5.1) with one pair of queues and nothing offloaded: a frame is a frame.
public final class NetworkDevice: VirtioDevice, @unchecked Sendable {
    // Unchecked because of `watch`, which is set once before anybody else knows the device.

    private enum Feature {
        static let mac: UInt64 = 1 << 5
        static let status: UInt64 = 1 << 16
    }

    /// What precedes each frame in the queues (`virtio_net_hdr`, 5.1.6), with its count of buffers at the end.
    private static let header: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]
    private static let shortestFrame = 14
    /// An Ethernet frame with a VLAN tag.
    private static let longestFrame = 1518
    /// Frames handled before others get their turn.
    private static let frameBudget = 64

    private struct Active {
        var receive: Virtqueue?
        var transmit: Virtqueue?
        let interrupt: VirtioInterrupt
    }

    private struct State {
        var active: Active?
        /// A frame that came when the driver had no buffer for it: at most one waits here, the others in the socket.
        var waiting: [UInt8]?
        var dropped: UInt64 = 0
    }

    private let port: FrameSocket
    private let reactor: Reactor
    private var watch: Reactor.Watch?
    private let state = Mutex(State())

    /// A card with this address of six bytes. Frames are received on the reactor's thread, until `end`.
    public init(_ port: FrameSocket, mac: [UInt8], reactor: Reactor) throws(SystemCallError) {
        self.port = port
        self.reactor = reactor
        // The address, then the status: link up.
        configuration = Array((mac + [UInt8](repeating: 0, count: 6)).prefix(6)) + [1, 0]
        watch = try reactor.watch(port.number, for: []) { [weak self] readiness in
            if readiness.contains(.readable) { self?.receive() }
        }
    }

    /// Forgets the port.
    public func end() { watch.map(reactor.unwatch) }

    /// Frames lost: too short, too long, or not taken by the other side.
    public var dropped: UInt64 { state.withLock { $0.dropped } }

    public let kind: UInt32 = 1
    public let features: UInt64 = Feature.mac | Feature.status
    public let queueSizes: [UInt16] = [256, 256]
    public let configuration: [UInt8]

    public func activate(_ queues: [Virtqueue?], features: UInt64, interrupt: VirtioInterrupt) {
        guard queues.count == 2 else { return }
        state.withLock { state in
            state.active = Active(receive: queues[0], transmit: queues[1], interrupt: interrupt)
            listen(true)
        }
    }

    public func reset() {
        state.withLock { state in
            listen(false)
            state.active = nil
            state.waiting = nil
        }
    }

    public func notify(queue: Int) {
        // A frame that waits here would not wake the reactor: it is delivered now.
        if queue == 0 { receive() } else { transmit() }
    }

    /// A card without buffers does not look for frames: they wait in the socket, and nobody spins. Under the lock, so that
    /// the last word is that of whoever looked last.
    private func listen(_ listens: Bool) {
        if let watch { reactor.update(watch, to: listens ? .readable : []) }
    }

    private func receive() {
        state.withLock { state in
            guard var active = state.active, var queue = active.receive else { return listen(false) }
            do throws(VirtqueueError) {
                var hasRoom = true
                for _ in 0..<Self.frameBudget {
                    guard let frame = state.waiting ?? nextFrame(&state.dropped) else { break }
                    state.waiting = frame
                    var chain = try queue.next()
                    if chain == nil, queue.enableDoorbell() { chain = try queue.next() }
                    guard let chain else {
                        hasRoom = false
                        break
                    }
                    state.waiting = nil
                    queue.finish(chain, written: UInt32(truncatingIfNeeded: Self.copy(Self.header + frame, to: chain)))
                }
                active.interrupt.signal(for: &queue)
                active.receive = queue
                state.active = active
                listen(hasRoom)
            } catch {
                active.interrupt.fail()
                state.active = nil
                listen(false)
            }
        }
    }

    private func nextFrame(_ dropped: inout UInt64) -> [UInt8]? {
        while true {
            var count: Int?
            let frame = [UInt8](unsafeUninitializedCapacity: Self.longestFrame + 1) { buffer, length in
                count = port.receive(into: UnsafeMutableRawBufferPointer(buffer))
                length = count ?? 0
            }
            guard let count else { return nil }
            if count >= Self.shortestFrame, count <= Self.longestFrame { return frame }
            dropped &+= 1
        }
    }

    /// Copies what fits.
    private static func copy(_ bytes: [UInt8], to chain: DescriptorChain) -> Int {
        var done = 0
        for buffer in chain.writable where done < bytes.count {
            let count = min(buffer.count, bytes.count - done)
            buffer.copyBytes(from: bytes[done..<(done + count)])
            done += count
        }
        return done
    }

    private func transmit() {
        state.withLock { state in
            guard var active = state.active, var queue = active.transmit else { return }
            do throws(VirtqueueError) {
                repeat {
                    while let chain = try queue.next() {
                        if !send(chain) { state.dropped &+= 1 }
                        queue.finish(chain, written: 0)
                    }
                } while queue.enableDoorbell()
                active.interrupt.signal(for: &queue)
                active.transmit = queue
                state.active = active
            } catch {
                active.interrupt.fail()
                state.active = nil
            }
        }
    }

    private func send(_ chain: DescriptorChain) -> Bool {
        let count = chain.readableCount - Self.header.count
        guard count >= Self.shortestFrame, count <= Self.longestFrame else { return false }
        var frame: [UInt8] = []
        frame.reserveCapacity(count + Self.header.count)
        for buffer in chain.readable { frame += buffer }
        return frame[Self.header.count...].withUnsafeBytes { port.send($0) }
    }
}
