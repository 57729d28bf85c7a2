import HostSystem
import Synchronization

final class BlockServer: Sendable {
    /// Requests served per lock acquisition; a reset waits for no more than these.
    private static let batch = 64
    /// Completed requests are published in batches, but the first waits at most this long.
    private static let patience: Duration = .milliseconds(1)
    static let serialLength = 20

    private let storage: any BlockStorage
    private let serial: [UInt8]
    private let driver = Mutex<VirtioDriver?>(nil)

    init(storage: any BlockStorage, serial: String) {
        self.storage = storage
        let bytes = Array(serial.utf8.prefix(Self.serialLength))
        self.serial = bytes + [UInt8](repeating: 0, count: Self.serialLength - bytes.count)
    }

    func attach(_ driver: VirtioDriver) { self.driver.withLock { $0 = driver } }

    /// Returns when no request is being served.
    func detach() { driver.withLock { $0 = nil } }

    func serve() {
        while serveBatch() {}
    }

    /// True when there is more.
    private func serveBatch() -> Bool {
        driver.withLock { driver in
            guard let driver, let queue = driver.queue(0) else { return false }
            var published = ContinuousClock.now
            return driver.serve(queue, atMost: Self.batch) { (chain) throws(VirtqueueError) in
                guard let request = BlockRequest(chain) else { throw .malformedRequest(head: chain.head) }
                queue.complete(chain.head, written: serve(request, driver.features))
                let now = ContinuousClock.now
                if now - published >= Self.patience {
                    driver.publish(queue)
                    published = now
                }
            }
        }
    }

    // MARK: One request

    private struct Refusal: Error {
        let status: BlockRequest.Status
    }

    /// Executes the request and writes the status; returns the number of written bytes.
    private func serve(_ request: BlockRequest, _ features: VirtioFeatures) -> Int {
        do throws(Refusal) {
            let filled = try perform(request, features)
            return request.answer(.ok, filled: filled)
        } catch {
            return request.answer(error.status, filled: 0)
        }
    }

    /// Returns the number of filled bytes of the request's target.
    private func perform(_ request: BlockRequest, _ features: VirtioFeatures) throws(Refusal) -> Int {
        switch request.header.kind {
        case BlockRequest.Kind.read:
            let offset = try place(request.header.sector, count: request.target.count)
            try checked { () throws(SystemCallError) in try storage.read(request.target, at: offset) }
            return request.target.count
        case BlockRequest.Kind.write:
            guard !storage.isReadOnly else { throw Refusal(status: .ioError) }
            let offset = try place(request.header.sector, count: request.source.count)
            try checked { () throws(SystemCallError) in try storage.write(request.source, at: offset) }
            return 0
        case BlockRequest.Kind.flush:
            if !storage.isReadOnly { try checked { () throws(SystemCallError) in try storage.flush() } }
            return 0
        case BlockRequest.Kind.identifier:
            return serial.withUnsafeBytes { request.target.copy(from: $0) }
        case BlockRequest.Kind.discard where features.contains(.blockDiscard):
            for (range, flags) in try extents(of: request, most: BlockConfiguration.mostDiscardSectors) {
                guard flags == 0 else { throw Refusal(status: .unsupported) }
                try checked { () throws(SystemCallError) in try storage.discard(range) }
            }
            return 0
        case BlockRequest.Kind.writeZeroes where features.contains(.blockWriteZeroes):
            for (range, flags) in try extents(of: request, most: BlockConfiguration.mostZeroSectors) {
                guard flags & ~1 == 0 else { throw Refusal(status: .unsupported) }
                try checked { () throws(SystemCallError) in
                    try storage.writeZeroes(range, mayFree: flags & 1 == 1)
                }
            }
            return 0
        default:
            throw Refusal(status: .unsupported)
        }
    }

    /// The offset of a transfer that lies on the disk, in whole sectors.
    private func place(_ sector: UInt64, count: Int) throws(Refusal) -> UInt64 {
        let bytes = UInt64(count)
        guard bytes % BlockConfiguration.sectorSize == 0, bytes <= storage.size,
            sector <= (storage.size - bytes) / BlockConfiguration.sectorSize
        else { throw Refusal(status: .ioError) }
        return sector * BlockConfiguration.sectorSize
    }

    /// The ranges of a discard or write-zeroes request, all of them checked before the first is served.
    private func extents(
        of request: BlockRequest, most: UInt32
    ) throws(Refusal) -> [(range: Range<UInt64>, flags: UInt32)] {
        let size = MemoryLayout<BlockRequest.Extent>.size
        let total = request.source.count
        guard total > 0, total % size == 0, total / size <= BlockConfiguration.mostExtents else {
            throw Refusal(status: .ioError)
        }
        var result: [(Range<UInt64>, UInt32)] = []
        for start in stride(from: 0, to: total, by: size) {
            let bytes = request.source.slice(start..<(start + size))
            guard let extent = bytes.load(BlockRequest.Extent.self), extent.sectors <= most else {
                throw Refusal(status: .ioError)
            }
            let count = Int(extent.sectors) * Int(BlockConfiguration.sectorSize)
            let offset = try place(extent.sector, count: count)
            result.append((offset..<(offset + UInt64(count)), extent.flags))
        }
        return result
    }

    /// Host errors, such as a full disk, become guest I/O errors.
    private func checked(_ body: () throws(SystemCallError) -> Void) throws(Refusal) {
        do throws(SystemCallError) { try body() } catch { throw Refusal(status: .ioError) }
    }
}
