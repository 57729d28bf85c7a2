import CLinux
import Glibc
import HostSystem
import Synchronization

@testable import VirtualHardware

// A hostile driver: arbitrary rings, descriptors and register writes against the transport with a disk, a network card and
// the entropy device behind it. Nothing may trap or hang, and nothing may touch memory outside the guest's.

private final class Line: InterruptLine {
    func signal() {}
}

/// A disk in memory that is full behind its first half.
private final class FakeStorage: BlockStorage, @unchecked Sendable {
    let size: UInt64 = 32 << 10
    let isReadOnly: Bool
    private let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: 32 << 10, alignment: 16)

    init(isReadOnly: Bool) {
        self.isReadOnly = isReadOnly
        bytes.initializeMemory(as: UInt8.self, repeating: 0)
    }

    private func part(_ offset: UInt64, _ count: Int) -> UnsafeMutableRawBufferPointer {
        require(offset <= size && UInt64(count) <= size - offset, "an access outside the disk")
        return UnsafeMutableRawBufferPointer(rebasing: bytes[Int(offset)..<(Int(offset) + count)])
    }

    func read(_ buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(SystemCallError) {
        buffer.copyMemory(from: UnsafeRawBufferPointer(part(offset, buffer.count)))
    }

    func write(_ buffer: UnsafeRawBufferPointer, at offset: UInt64) throws(SystemCallError) {
        require(!isReadOnly, "a write to a disk that is read-only")
        if offset >= size / 2 { throw SystemCallError("pwrite", errno: ENOSPC) }
        part(offset, buffer.count).copyMemory(from: buffer)
    }

    func clear(at offset: UInt64, count: UInt64) throws(SystemCallError) {
        require(!isReadOnly && count > 0, "a clear of nothing or of a disk that is read-only")
        part(offset, Int(count)).initializeMemory(as: UInt8.self, repeating: 0)
    }

    func flush() throws(SystemCallError) {}
}

/// The disk's requests on this thread, so that a run depends on its input alone.
private final class PromptDisk: VirtioDevice {
    let kind: UInt32 = 2
    let features: UInt64 = 0
    let queueSizes: [UInt16] = [128]
    let configuration: [UInt8] = []
    private let storage: FakeStorage
    private let active = Mutex<(queue: Virtqueue, interrupt: VirtioInterrupt)?>(nil)

    init(_ storage: FakeStorage) { self.storage = storage }

    func activate(_ queues: [Virtqueue?], features: UInt64, interrupt: VirtioInterrupt) {
        active.withLock { $0 = queues[0].map { ($0, interrupt) } }
    }

    func reset() { active.withLock { $0 = nil } }

    func notify(queue: Int) {
        active.withLock { active in
            guard var current = active else { return }
            do throws(VirtqueueError) {
                repeat {
                    while let chain = try current.queue.next() {
                        current.queue.finish(
                            chain, written: BlockRequest(chain, storage: storage, serial: Array("fuzz".utf8)).run())
                    }
                } while current.queue.enableDoorbell()
                current.interrupt.signal(for: &current.queue)
                active = current
            } catch {
                current.interrupt.fail()
                active = nil
            }
        }
    }
}

/// A socket that stands for the network, and the card's own.
private struct Wire {
    let outside: FrameSocket
    let card: FrameSocket

    static func make() throws -> Wire {
        var template = Array("/tmp/vmlab-fuzz-XXXXXX".utf8CString)
        require(mkdtemp(&template) != nil, "no folder in /tmp")
        let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return Wire(
            outside: try .segment(local: folder + "/outside", remote: folder + "/card"),
            card: try .segment(local: folder + "/card", remote: folder + "/outside"))
    }
}

private let memory = try! GuestMemory(ranges: [0..<0x10000, 0x20000..<0x30000])
private let wire = try! Wire.make()
private let reactor = try! Reactor()
private let devices: [any VirtioDevice] = [
    PromptDisk(FakeStorage(isReadOnly: false)), PromptDisk(FakeStorage(isReadOnly: true)),
    try! NetworkDevice(wire.card, mac: [2, 0, 0, 0, 0, 1], reactor: reactor), EntropyDevice(),
    try! BlockDevice(FakeStorage(isReadOnly: false), serial: "a serial of more than twenty bytes"),
]
private let transports = devices.map { VirtioMMIOTransport(device: $0, memory: memory, interrupt: Line()) }

private func write(_ transport: VirtioMMIOTransport, _ register: UInt64, _ value: UInt64) {
    transport.write(value, at: register, width: 4)
}

/// Brings a device up as a driver does, with rings where the input's tables go.
private func start(_ transport: VirtioMMIOTransport, size: UInt64, features: UInt64) {
    for status: UInt64 in [0, 1, 3] { write(transport, 0x70, status) }
    write(transport, 0x24, 0)
    write(transport, 0x20, features)
    write(transport, 0x24, 1)
    write(transport, 0x20, 1)
    write(transport, 0x70, 11)
    for queue: UInt64 in [0, 1] {
        write(transport, 0x30, queue)
        write(transport, 0x38, size)
        for (register, address) in [(0x80, 0x1000), (0x90, 0x2000), (0xa0, 0x3000)] as [(UInt64, UInt64)] {
            write(transport, register, address + queue * 0x4000)
        }
        write(transport, 0x44, 1)
    }
    write(transport, 0x70, 15)
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    var input = Input(start, count)
    let transport = transports[Int(input.byte()) % transports.count]
    while !input.isEmpty {
        let operation = input.byte()
        let queue = UInt64(operation >> 7) * 0x4000
        switch operation & 15 {
        case 0, 1: write(transport, UInt64(input.byte() & 0x3f) * 4, input.number())
        case 2: transport.write(input.number(), at: input.number(UInt16.self).asOffset, width: input.width())
        case 3: _ = transport.read(at: input.number(UInt16.self).asOffset, width: input.width())
        case 4: Fuzz.start(transport, size: 1 << UInt64(input.byte() & 7), features: UInt64(input.byte() & 1) << 29)
        case 5, 6, 7, 8:
            // A descriptor whose address is mostly within RAM.
            let place = 0x1000 + queue + 16 * UInt64(input.byte() & 0x7f)
            let address = UInt64(input.number(UInt16.self)) | (operation & 16 != 0 ? 0x20000 : 0)
            try! memory.store(operation & 32 != 0 ? input.number() : address, at: place)
            try! memory.store(operation & 64 != 0 ? input.number() : UInt32(input.number(UInt16.self)), at: place + 8)
            try! memory.store(UInt16(input.byte() & 7), at: place + 12)
            try! memory.store(UInt16(input.byte()), at: place + 14)
        case 9, 10:
            // A head that becomes available, in the ring's first places.
            let index: UInt16 = try! memory.load(at: 0x2002 + queue)
            try! memory.store(UInt16(input.byte()), at: 0x2004 + queue + 2 * UInt64(index % 128))
            try! memory.store(index &+ 1, at: 0x2002 + queue)
        case 11: try! memory.write(input.take(Int(operation >> 4)), at: UInt64(input.number(UInt16.self)) & 0xff00)
        case 12, 13: write(transport, 0x50, UInt64(operation >> 7))
        case 14:
            let frame = [UInt8](repeating: input.byte(), count: Int(input.number(UInt16.self) % 2000))
            _ = frame.withUnsafeBytes { wire.outside.send($0) }
        default:
            // A disk's header: kind, sector.
            let place = UInt64(input.byte()) << 8
            try! memory.store(UInt32(input.byte() & 15), at: place)
            try! memory.store(UInt64(input.byte()), at: place + 8)
        }
    }
    transport.reset()
    require(transport.read(at: 0x70, width: 4) == 0, "a status after the reset")
    var frame = [UInt8](repeating: 0, count: 2048)
    while frame.withUnsafeMutableBytes({ wire.outside.receive(into: $0) }) != nil {}
    while frame.withUnsafeMutableBytes({ wire.card.receive(into: $0) }) != nil {}
    memory.clear()
    return 0
}

extension UInt16 {
    /// Mostly a register, sometimes far away.
    fileprivate var asOffset: UInt64 { self & 0x8000 == 0 ? UInt64(self & 0x1ff) : .max - UInt64(self) }
}

extension Input {
    fileprivate mutating func width() -> Int { 1 << Int(byte() & 3) }
}
