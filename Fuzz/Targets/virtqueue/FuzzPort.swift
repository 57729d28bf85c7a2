import Glibc
import HostSystem
import Synchronization
import VirtualHardware

/// A cable whose frames are just lengths.
final class FuzzPort: FramePort {
    private let lengths = Mutex<[Int]>([])
    private let isFull = Mutex(false)
    private let readable: EventDescriptor
    private let writable: EventDescriptor

    init() throws {
        readable = try EventDescriptor()
        writable = try EventDescriptor()
        setFull(false)
    }

    func deliver(_ length: Int) {
        lengths.withLock { $0.append(length) }
        readable.signal()
    }

    /// A full port is not writable, which an eventfd is as long as its counter is below its limit.
    func setFull(_ isFull: Bool) {
        self.isFull.withLock { $0 = isFull }
        writable.drain()
        var most = UInt64.max - 1
        if isFull { _ = Glibc.write(writable.number, &most, 8) }
    }

    var number: Int32 { readable.number }

    func send(_ frame: UnsafeRawBufferPointer) -> Sent {
        precondition((14...1518).contains(frame.count), "no frame")
        return isFull.withLock { $0 } ? .full : .delivered
    }

    func receive(into buffer: UnsafeMutableRawBufferPointer) -> Int? {
        lengths.withLock { lengths in
            guard !lengths.isEmpty else {
                readable.drain()
                return nil
            }
            let count = min(lengths.removeFirst(), buffer.count)
            buffer[..<count].initializeMemory(as: UInt8.self, repeating: 0x5a)
            return count
        }
    }

    func sendable() -> Int32 { writable.number }
}
