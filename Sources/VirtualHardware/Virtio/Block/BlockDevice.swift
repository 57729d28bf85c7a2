import HostSystem

/// A disk (virtio 1.2, 5.2): one queue, served by a thread of its own, as storage may make it wait.
public final class BlockDevice: VirtioDevice {
    /// A disk.
    public let identifier: UInt32 = 2
    /// One queue of requests.
    public let queueSizes: [UInt16] = [BlockDevice.queueSize]
    /// Flush, discard and write-zeroes where it can be written; otherwise that it cannot.
    public let features: VirtioFeatures
    /// Size, block sizes and limits.
    public let configuration: [UInt8]

    static let queueSize: UInt16 = 256

    private let server: BlockServer
    private let thread: DeviceThread

    /// A disk over `storage`, with a serial number of which 20 bytes count (Linux: /sys/block/vda/serial).
    ///
    /// Throws when the host gives no thread. It needs no descriptor or thread beyond those it has after this.
    public init(storage: any BlockStorage, serial: String) throws(SystemCallError) {
        let server = BlockServer(storage: storage, serial: serial)
        self.server = server
        features = BlockConfiguration.features(of: storage)
        configuration = BlockConfiguration.bytes(of: storage)
        thread = try DeviceThread(name: "virtio-blk") { server.serve() }
    }

    deinit { server.detach() }

    /// Serves what is asked from now on.
    public func activate(_ driver: VirtioDriver) {
        server.attach(driver)
        // What was made available before the driver was ready.
        thread.bell.signal()
    }

    /// Wakes the thread.
    public func notify(queue: Int) {
        if queue == 0 { thread.bell.signal() }
    }

    /// Forgets the queue; waits for the transfers that are under way.
    public func reset() { server.detach() }

    /// Wakes the thread without a detour.
    public func doorbell(queue: Int) -> EventDescriptor? { queue == 0 ? thread.bell : nil }
}
