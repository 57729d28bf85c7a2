import HostSystem

@testable import VirtualHardware

/// A disk that serves on the thread that notifies it, so that a run is the same each time.
final class FuzzDisk: VirtioDevice {
    let identifier: UInt32 = 2
    let queueSizes: [UInt16] = [BlockDevice.queueSize]
    let features: VirtioFeatures
    let configuration: [UInt8]
    private let server: BlockServer

    init(isReadOnly: Bool) {
        let storage = CheckingStorage(isReadOnly: isReadOnly)
        server = BlockServer(storage: storage, serial: "fuzz")
        features = BlockConfiguration.features(of: storage)
        configuration = BlockConfiguration.bytes(of: storage)
    }

    func activate(_ driver: VirtioDriver) { server.attach(driver) }
    func reset() { server.detach() }
    func notify(queue: Int) { if queue == 0 { server.serve() } }
}

/// A disk of 64 KiB that is all zeros, and that ends the run when it is asked for what a disk must never be asked.
final class CheckingStorage: BlockStorage {
    let size: UInt64 = 64 << 10
    let isReadOnly: Bool

    init(isReadOnly: Bool) { self.isReadOnly = isReadOnly }

    func read(_ target: GuestSegments, at offset: UInt64) throws(SystemCallError) {
        check(offset, target.count, isWrite: false)
        target.clear()
    }

    func write(_ source: GuestSegments, at offset: UInt64) throws(SystemCallError) {
        check(offset, source.count, isWrite: true)
        // Reads all of it, as a file would.
        var bytes = [UInt8](repeating: 0, count: source.count)
        bytes.withUnsafeMutableBytes { _ = source.copy(to: $0) }
        // Some sectors are bad.
        if offset / 512 % 8 == 7 { throw SystemCallError("pwritev", errno: 5) }
    }

    func flush() throws(SystemCallError) { precondition(!isReadOnly) }

    func discard(_ range: Range<UInt64>) throws(SystemCallError) {
        check(range.lowerBound, range.count, isWrite: true)
    }

    func writeZeroes(_ range: Range<UInt64>, mayFree: Bool) throws(SystemCallError) {
        check(range.lowerBound, range.count, isWrite: true)
    }

    private func check(_ offset: UInt64, _ count: Int, isWrite: Bool) {
        precondition(offset % 512 == 0 && count % 512 == 0 && offset + UInt64(count) <= size, "off the disk")
        precondition(!isWrite || !isReadOnly, "a write to a read-only disk")
    }
}
