import HostSystem
import Synchronization

/// A network card (virtio 1.2, 5.1): one queue to receive, one to send, no offloads. Frames are received on the reactor's thread
/// and sent on the notifying thread. They wait in the port while the guest has no buffers, and in the guest while the port is full;
/// nothing is polled.
package final class NetworkDevice: VirtioDevice {
    /// Frame counters since the device was created.
    package struct Statistics: Sendable, Hashable {
        /// Delivered to the guest.
        package var received = 0
        /// Accepted by the port.
        package var sent = 0
        /// Too long, too short, too long for the guest's buffer, or not taken by the port.
        package var dropped = 0
    }

    package let identifier: UInt32 = 1
    package let queueSizes: [UInt16] = [256, 256]
    package let features = VirtioFeatures(rawValue: 1 << 5 | 1 << 16)
    /// The address, that the link is up, and the MTU.
    package let configuration: [UInt8]
    /// All but the MAC address: a clone has its own, which its driver learns in another way.
    package var lastingConfiguration: [UInt8] { Array(configuration.dropFirst(6)) }

    static let receiveQueue = 0
    static let sendQueue = 1
    /// An Ethernet header, at most 1500 bytes and a VLAN tag.
    static let frameLengths = 14...1518
    /// `virtio_net_hdr` with its field `num_buffers`.
    static let headerLength = 12
    /// Frames per turn, so that other devices are served too.
    private static let round = 64

    private struct State {
        var driver: VirtioDriver?
        /// A receive buffer that waits for a frame.
        var spare: DescriptorChain?
        var receiveWatch: Reactor.Watch?
        /// A frame that did not fit the port, and the wait for room.
        var unsent: (head: UInt16, frame: [UInt8])?
        var sendWatch: Reactor.Watch?
        var statistics = Statistics()
        /// Buffer for one frame, with one more byte to detect a longer one.
        let frame = UnsafeMutableRawBufferPointer.allocate(
            byteCount: NetworkDevice.frameLengths.upperBound + 1, alignment: 16)
    }

    private let port: any FramePort
    private let reactor: Reactor
    private let state: Mutex<State>

    /// A card with this MAC address on `port`. Throws when the reactor cannot watch the port.
    package init(address: EthernetAddress, port: any FramePort, reactor: Reactor) throws(SystemCallError) {
        // mac, status (the link is up), max_virtqueue_pairs, mtu: 5.1.4.
        configuration = address.bytes + [1, 0, 1, 0, 0xdc, 0x05]
        self.port = port
        self.reactor = reactor
        state = Mutex(State())
        let watch = try reactor.watch(port.number, for: []) { [weak self] in self?.portIsReady($0) }
        state.withLock { $0.receiveWatch = watch }
    }

    deinit {
        reset()
        state.withLock { state in
            if let watch = state.receiveWatch { reactor.unwatch(watch) }
            state.frame.deallocate()
        }
    }

    package var statistics: Statistics { state.withLock { $0.statistics } }

    // MARK: The driver

    package func activate(_ driver: VirtioDriver) {
        state.withLock { state in
            state.driver = driver
            listen(state)
        }
        notify(queue: Self.sendQueue)
    }

    package func notify(queue: Int) {
        state.withLock { state in
            switch queue {
            case Self.receiveQueue: listen(state)
            case Self.sendQueue: send(&state)
            default: break
            }
        }
    }

    /// Drops the queues and the waiting frame. Their buffers are the driver's next ones again.
    package func reset() {
        state.withLock { state in
            if state.spare != nil { state.driver?.queue(Self.receiveQueue)?.putBack() }
            if state.unsent != nil { state.driver?.queue(Self.sendQueue)?.putBack() }
            state.driver = nil
            state.spare = nil
            state.unsent = nil
            endWait(&state)
            if let watch = state.receiveWatch { reactor.update(watch, to: []) }
        }
    }

    // MARK: Receiving

    private func listen(_ state: borrowing State) {
        guard let queue = state.driver?.queue(Self.receiveQueue), let watch = state.receiveWatch else { return }
        queue.disableNotifications()
        reactor.update(watch, to: .readable)
    }

    private func portIsReady(_ interest: Reactor.Interest) {
        state.withLock { state in
            if interest.contains(.readable) { receive(&state) }
            // A removed interface stays in this state.
            if !interest.isDisjoint(with: .hungUp), let watch = state.receiveWatch {
                reactor.unwatch(watch)
                state.receiveWatch = nil
            }
        }
    }

    private func receive(_ state: inout State) {
        guard let driver = state.driver, let queue = driver.queue(Self.receiveQueue) else { return }
        do throws(VirtqueueError) {
            for _ in 0..<Self.round {
                if state.spare == nil { state.spare = try queue.next() }
                guard let chain = state.spare else {
                    if queue.enableNotifications() { continue }
                    // Frames wait in the port until the driver notifies.
                    if let watch = state.receiveWatch { reactor.update(watch, to: []) }
                    break
                }
                guard let count = port.receive(into: state.frame) else { break }
                guard Self.frameLengths.contains(count), chain.writable.count >= Self.headerLength + count else {
                    state.statistics.dropped += 1
                    continue
                }
                // No offloads, one buffer.
                let header: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]
                header.withUnsafeBytes { _ = chain.writable.copy(from: $0) }
                let room = chain.writable.slice(Self.headerLength..<chain.writable.count)
                room.copy(from: UnsafeRawBufferPointer(rebasing: state.frame[..<count]))
                queue.complete(chain.head, written: Self.headerLength + count)
                state.spare = nil
                state.statistics.received += 1
            }
            driver.publish(queue)
        } catch {
            driver.publish(queue)
            driver.signals.fail(error)
            if let watch = state.receiveWatch { reactor.update(watch, to: []) }
        }
    }

    // MARK: Sending

    private func send(_ state: inout State) {
        guard state.unsent == nil, let driver = state.driver, let queue = driver.queue(Self.sendQueue) else { return }
        queue.disableNotifications()
        do throws(VirtqueueError) {
            for _ in 0..<Self.round {
                guard let chain = try queue.next() else {
                    if queue.enableNotifications() { continue }
                    driver.publish(queue)
                    return
                }
                let count = chain.readable.count - Self.headerLength
                guard Self.frameLengths.contains(count) else {
                    state.statistics.dropped += 1
                    queue.complete(chain.head, written: 0)
                    continue
                }
                chain.readable.slice(Self.headerLength..<chain.readable.count).copy(to: state.frame)
                guard send(UnsafeRawBufferPointer(rebasing: state.frame[..<count]), chain.head, queue, &state) else {
                    driver.publish(queue)
                    return
                }
            }
            driver.publish(queue)
            reactor.perform { [weak self] in self?.notify(queue: Self.sendQueue) }
        } catch {
            driver.publish(queue)
            driver.signals.fail(error)
        }
    }

    /// False when the port is full: the frame is kept and the port is watched.
    private func send(
        _ frame: UnsafeRawBufferPointer, _ head: UInt16, _ queue: Virtqueue, _ state: inout State
    ) -> Bool {
        switch port.send(frame) {
        case .full where awaitRoom(&state):
            state.unsent = (head, Array(frame))
            return false
        case .delivered: state.statistics.sent += 1
        case .full, .lost: state.statistics.dropped += 1
        }
        queue.complete(head, written: 0)
        return true
    }

    /// False when there is nothing to wait for.
    private func awaitRoom(_ state: inout State) -> Bool {
        endWait(&state)
        do throws(SystemCallError) {
            let number = try port.sendable()
            state.sendWatch = try reactor.watch(number, for: .writable) { [weak self] _ in self?.portHasRoom() }
            return true
        } catch {
            return false
        }
    }

    private func endWait(_ state: inout State) {
        if let watch = state.sendWatch { reactor.unwatch(watch) }
        state.sendWatch = nil
    }

    private func portHasRoom() {
        state.withLock { state in
            endWait(&state)
            guard let unsent = state.unsent, let queue = state.driver?.queue(Self.sendQueue) else { return }
            state.unsent = nil
            let isSent = unsent.frame.withUnsafeBytes { send($0, unsent.head, queue, &state) }
            if isSent { send(&state) }
        }
    }
}
