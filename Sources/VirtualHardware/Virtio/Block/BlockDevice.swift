import HostSystem

/// A disk (virtio 1.2, 5.2): one queue, served by a thread of its own, as storage may make it wait.
package final class BlockDevice: VirtioDevice {
    package let identifier: UInt32 = 2
    package let queueSizes: [UInt16] = [BlockDevice.queueSize]
    package let features: VirtioFeatures
    package let configuration: [UInt8]

    static let queueSize: UInt16 = 256

    private let server: BlockServer
    private let thread: DeviceThread

    /// A disk over `storage`, with a serial number of which 20 bytes count (Linux: /sys/block/vda/serial). Throws when the host
    /// gives no thread. It needs no descriptor or thread beyond those it has after this.
    package init(storage: any BlockStorage, serial: String) throws(SystemCallError) {
        let server = BlockServer(storage: storage, serial: serial)
        self.server = server
        features = BlockConfiguration.features(of: storage)
        configuration = BlockConfiguration.bytes(of: storage)
        thread = try DeviceThread(name: "virtio-blk") { server.serve() }
    }

    deinit { server.detach() }

    package func activate(_ driver: VirtioDriver) {
        server.attach(driver)
        // What was made available before the driver was ready.
        thread.bell.signal()
    }

    package func notify(queue: Int) {
        if queue == 0 { thread.bell.signal() }
    }

    package func reset() { server.detach() }

    package func doorbell(queue: Int) -> EventDescriptor? { queue == 0 ? thread.bell : nil }
}
