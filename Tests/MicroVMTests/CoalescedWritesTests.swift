import CKVM
import Glibc
import Synchronization
import Testing
import VirtualHardware

@testable import KVM
@testable import MicroVM

@Suite("Coalesced writes")
struct CoalescedWritesTests {
    /// The kernel's side of the ring, in a page of our own.
    private final class Kernel {
        let page = UnsafeMutableRawPointer.allocate(byteCount: 4096, alignment: 4096)
        var ring: UnsafeMutablePointer<kvm_coalesced_mmio_ring> {
            page.assumingMemoryBound(to: kvm_coalesced_mmio_ring.self)
        }
        static let capacity = UInt32((4096 - 8) / MemoryLayout<kvm_coalesced_mmio>.size)

        init() { page.initializeMemory(as: UInt8.self, repeating: 0, count: 4096) }
        deinit { page.deallocate() }

        var view: CoalescedRing { CoalescedRing(ring: ring, size: 4096) }

        func collect(_ byte: UInt8, at port: UInt64 = 0x3f8) {
            let last = ring.pointee.last
            let entry = vmlab_ring_entry(ring, last)
            entry?.pointee.phys_addr = port
            entry?.pointee.len = 1
            entry?.pointee.data.0 = byte
            ring.pointee.last = (last + 1) % Self.capacity
        }
    }

    private final class Recorder: BusDevice {
        let bytes = Mutex<[UInt8]>([])
        func read(at offset: UInt64, width: Int) -> UInt64 { .max }
        func write(_ value: UInt64, at offset: UInt64, width: Int) {
            if offset == 0, width == 1 { bytes.withLock { $0.append(UInt8(truncatingIfNeeded: value)) } }
        }
        func taken() -> [UInt8] {
            bytes.withLock { bytes in
                defer { bytes = [] }
                return bytes
            }
        }
    }

    private let kernel = Kernel()
    private let port = Recorder()
    private let writes: CoalescedWrites

    init() throws {
        var bus = AddressBus()
        bus.insert(port, at: 0x3f8..<0x400)
        writes = try CoalescedWrites(kernel.view, bus: bus)
    }

    private func timerRings(within milliseconds: Int32) -> Bool {
        var wait = pollfd(fd: writes.timer.number, events: Int16(POLLIN), revents: 0)
        return poll(&wait, 1, milliseconds) > 0
    }

    @Test("Come in order, also around the ring's end")
    func order() {
        for round in 0..<5 {
            let bytes = (0..<100).map { UInt8(truncatingIfNeeded: $0 + round) }
            for byte in bytes { kernel.collect(byte) }
            writes.drain()
            #expect(port.taken() == bytes)
        }
        writes.drain()
        #expect(port.taken() == [])
    }

    @Test("A ring whose place is out of range is left alone")
    func damaged() {
        kernel.collect(1)
        kernel.ring.pointee.first = Kernel.capacity
        writes.drain()
        kernel.ring.pointee.first = .max
        writes.drain()
        #expect(port.taken() == [])
    }

    @Test("The kernel is asked once for each port, and again after a reset, before which all is delivered")
    func ports() {
        var asked: [String] = []
        for _ in 0..<3 { writes.begin(0x3f8) { asked.append("collect") } }
        kernel.collect(7)
        writes.reset { asked.append("stop \($0)") }
        #expect(port.taken() == [7])
        writes.begin(0x3f8) { asked.append("collect") }
        #expect(asked == ["collect", "stop \(0x3f8)", "collect"])
    }

    @Test("What a driver leaves is delivered in time, as long as one sends by interrupt; then nothing ticks")
    func ticks() {
        #expect(!timerRings(within: 0))
        writes.begin(0x3f8) {}
        #expect(timerRings(within: 10_000))
        kernel.collect(1)
        writes.tick { true }
        #expect(port.taken() == [1])
        #expect(timerRings(within: 10_000))
        kernel.collect(2)
        writes.tick { false }
        #expect(port.taken() == [2])
        #expect(!timerRings(within: 50))
        writes.begin(0x3f8) {}
        #expect(timerRings(within: 10_000))
    }
}
