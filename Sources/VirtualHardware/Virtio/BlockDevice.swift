import Glibc
import HostSystem
import Synchronization

/// A disk (virtio 1.2, 5.2). Its reads and writes run on a thread of its own, so a slow file holds up nobody else.
public final class BlockDevice: VirtioDevice {
    /// The longest serial number, in bytes.
    public static let serialLimit = 20

    private enum Feature {
        static let segmentMax: UInt64 = 1 << 2
        static let readOnly: UInt64 = 1 << 5
        static let flush: UInt64 = 1 << 9
        static let discard: UInt64 = 1 << 13
        static let writeZeroes: UInt64 = 1 << 14
    }

    /// Segments of a request; two descriptors more are its header and status.
    private static let segmentLimit: UInt32 = 126
    private static let clearLimit: UInt32 = 1 << 22

    private struct Work {
        var queue: Virtqueue?
        var interrupt: VirtioInterrupt?
        var isRung = false
        var isBusy = false
        var isEnded = false
    }

    private let storage: any BlockStorage
    private let serial: [UInt8]
    private let work = Monitor(Work())
    private let thread = Mutex<HostThread?>(nil)

    /// A disk over this storage. Starts its thread, which `end` ends.
    public init(_ storage: any BlockStorage, serial: String) throws(SystemCallError) {
        self.storage = storage
        self.serial = Array(serial.utf8.prefix(Self.serialLimit))
        var features = Feature.segmentMax | Feature.flush
        features |= storage.isReadOnly ? Feature.readOnly : Feature.discard | Feature.writeZeroes
        self.features = features
        configuration = Self.configuration(sectors: storage.size / 512)
        // The thread must not keep the device, or nothing would ever end either.
        let (work, serialBytes) = (work, self.serial)
        let started = try HostThread("disk") { Self.serve(work, storage, serialBytes) }
        thread.withLock { $0 = started }
    }

    deinit { end() }

    /// Ends the thread. Safe to repeat.
    public func end() {
        work.withLock { $0.isEnded = true }
        thread.withLock { $0.take() }?.join()
    }

    public let kind: UInt32 = 2
    public let features: UInt64
    public let queueSizes: [UInt16] = [128]
    public let configuration: [UInt8]

    private static func configuration(sectors: UInt64) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 60)
        func put(_ offset: Int, _ value: [UInt8]) {
            bytes.replaceSubrange(offset..<(offset + value.count), with: value)
        }
        put(0, littleEndian(sectors))
        put(12, littleEndian(segmentLimit))
        put(20, littleEndian(UInt32(512)))
        // Discard and write-zeroes: sectors and segments of a request, and the alignment of discards.
        put(36, littleEndian(clearLimit) + littleEndian(UInt32(1)) + littleEndian(UInt32(8)))
        put(48, littleEndian(clearLimit) + littleEndian(UInt32(1)) + [1])
        return bytes
    }

    public func activate(_ queues: [Virtqueue?], features: UInt64, interrupt: VirtioInterrupt) {
        work.withLock { work in
            work.queue = queues.first.flatMap { $0 }
            work.interrupt = interrupt
        }
    }

    public func notify(queue: Int) { work.withLock { $0.isRung = true } }

    public func reset() {
        work.withLock { $0.queue = nil }
        // The request on its way is finished; its end is dropped with the queue.
        work.wait { $0.isBusy ? nil : () }
    }

    /// The thread: takes the queue when it rings, serves all that is in it, and puts it back.
    private static func serve(_ work: Monitor<Work>, _ storage: any BlockStorage, _ serial: [UInt8]) {
        while true {
            let next = work.wait { work -> (queue: Virtqueue, interrupt: VirtioInterrupt)?? in
                if work.isEnded { return .some(nil) }
                guard work.isRung else { return nil }
                work.isRung = false
                guard let queue = work.queue, let interrupt = work.interrupt else { return nil }
                work.isBusy = true
                return (queue, interrupt)
            }
            guard let (taken, interrupt) = next else { return }
            var queue = taken
            var isBroken = false
            do throws(VirtqueueError) {
                queue.disableDoorbell()
                repeat {
                    // One chain at a time may take long: a reset or the end is noticed in between.
                    while let chain = try queue.next() {
                        let request = BlockRequest(chain, storage: storage, serial: serial)
                        queue.finish(chain, written: request.run())
                        if work.withLock({ $0.queue == nil || $0.isEnded }) { break }
                    }
                    interrupt.signal(for: &queue)
                } while queue.enableDoorbell() && work.withLock({ $0.queue != nil && !$0.isEnded })
            } catch {
                isBroken = true
            }
            work.withLock { work in
                work.isBusy = false
                if work.queue != nil { work.queue = isBroken ? nil : queue }
                if isBroken { interrupt.fail() }
            }
        }
    }
}

/// One request of a disk's driver (5.2.6): a header of 16 bytes, data, a status byte.
struct BlockRequest {
    private enum Kind {
        static let read: UInt32 = 0
        static let write: UInt32 = 1
        static let flush: UInt32 = 4
        static let identify: UInt32 = 8
        static let discard: UInt32 = 11
        static let writeZeroes: UInt32 = 13
    }

    private enum Status {
        static let ok: UInt8 = 0
        static let error: UInt8 = 1
        static let unsupported: UInt8 = 2
    }

    private static let headerSize = 16

    private let storage: any BlockStorage
    private let serial: [UInt8]
    private let header: [UInt8]
    /// What the driver wrote behind the header, and where it wants an answer before the status.
    private let input: [UnsafeRawBufferPointer]
    private let output: [UnsafeMutableRawBufferPointer]
    private let status: UnsafeMutableRawBufferPointer?

    init(_ chain: DescriptorChain, storage: any BlockStorage, serial: [UInt8]) {
        self.storage = storage
        self.serial = serial
        // The driver may cut header, data and status as it likes (2.7.4.1).
        var header: [UInt8] = []
        var input: [UnsafeRawBufferPointer] = []
        for buffer in chain.readable {
            let missing = min(Self.headerSize - header.count, buffer.count)
            header += buffer[..<missing]
            if missing < buffer.count { input.append(UnsafeRawBufferPointer(rebasing: buffer[missing...])) }
        }
        var output = chain.writable.filter { !$0.isEmpty }
        var status: UnsafeMutableRawBufferPointer?
        if let last = output.popLast() {
            status = UnsafeMutableRawBufferPointer(rebasing: last[(last.count - 1)...])
            if last.count > 1 { output.append(UnsafeMutableRawBufferPointer(rebasing: last[..<(last.count - 1)])) }
        }
        (self.header, self.input, self.output, self.status) = (header, input, output, status)
    }

    /// Does it and returns how many bytes were written for the driver, the status byte among them.
    func run() -> UInt32 {
        guard let status else { return 0 }
        var written = 0
        var result = Status.error
        if header.count == Self.headerSize {
            do throws(SystemCallError) {
                (result, written) = try perform(
                    kind: header.withUnsafeBytes { $0.loadUnaligned(as: UInt32.self) },
                    sector: header.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self) })
            } catch {
                // A full disk, a damaged one: the guest's driver hears of it.
                result = Status.error
            }
        }
        status[0] = result
        return UInt32(truncatingIfNeeded: written + 1)
    }

    private func perform(kind: UInt32, sector: UInt64) throws(SystemCallError) -> (UInt8, Int) {
        switch kind {
        case Kind.read:
            let count = output.reduce(0) { $0 + $1.count }
            guard var offset = place(sector, UInt64(count)) else { return (Status.error, 0) }
            for buffer in output {
                try storage.read(buffer, at: offset)
                offset += UInt64(buffer.count)
            }
            return (Status.ok, count)
        case Kind.write:
            let count = input.reduce(0) { $0 + $1.count }
            guard !storage.isReadOnly, var offset = place(sector, UInt64(count)) else { return (Status.error, 0) }
            for buffer in input {
                try storage.write(buffer, at: offset)
                offset += UInt64(buffer.count)
            }
            return (Status.ok, 0)
        case Kind.flush:
            try storage.flush()
            return (Status.ok, 0)
        case Kind.identify:
            var answer = serial + [UInt8](repeating: 0, count: BlockDevice.serialLimit - serial.count)
            var written = 0
            for buffer in output {
                let part = answer.prefix(buffer.count)
                buffer.copyBytes(from: part)
                answer.removeFirst(part.count)
                written += part.count
            }
            return (Status.ok, written)
        case Kind.discard, Kind.writeZeroes:
            return (try clear(), 0)
        default:
            return (Status.unsupported, 0)
        }
    }

    /// One segment of 16 bytes: sector, count, flags.
    private func clear() throws(SystemCallError) -> UInt8 {
        let segment = input.reduce(into: [UInt8]()) { $0 += $1.prefix(32) }
        guard !storage.isReadOnly, segment.count == 16 else { return Status.error }
        let (sector, count) = segment.withUnsafeBytes {
            ($0.loadUnaligned(as: UInt64.self), $0.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
        }
        guard count > 0 else { return Status.ok }
        guard let offset = place(sector, UInt64(count) * 512) else { return Status.error }
        try storage.clear(at: offset, count: UInt64(count) * 512)
        return Status.ok
    }

    /// Where in the storage a request begins; nil when it does not lie within, or is no whole number of sectors.
    private func place(_ sector: UInt64, _ count: UInt64) -> UInt64? {
        let sectors = storage.size / 512
        guard count % 512 == 0, sector <= sectors, count / 512 <= sectors - sector else { return nil }
        return sector * 512
    }
}
