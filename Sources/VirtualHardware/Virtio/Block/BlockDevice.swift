import HostSystem

/// A disk (virtio 1.2, 5.2): one queue, served by a thread of its own, as storage may make it wait.
public final class BlockDevice: VirtioDevice {
    public let identifier: UInt32 = 2
    public let queueSizes: [UInt16] = [BlockDevice.queueSize]
    public let features: VirtioFeatures
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

    public func activate(_ driver: VirtioDriver) {
        server.attach(driver)
        // What was made available before the driver was ready.
        thread.bell.signal()
    }

    public func notify(queue: Int) {
        if queue == 0 { thread.bell.signal() }
    }

    public func reset() { server.detach() }

    public func doorbell(queue: Int) -> EventDescriptor? { queue == 0 ? thread.bell : nil }
}
