import FuzzSupport
import HostSystem

@testable import VirtualHardware

/// A hostile guest: the input is a script of register accesses, ring contents and frames, played to a disk, a network card
/// or an entropy device. Nothing it does may trap, hang or reach beyond guest memory.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    guard let guest = try? HostileGuest(FuzzInput(bytes, count)) else { fatalError("the host has no descriptors left") }
    guest.play()
    return 0
}

/// Plays the script on the reactor's thread, which is the fuzzer's: every run is the same for the same input.
private final class HostileGuest: @unchecked Sendable {
    /// Two stretches of RAM with a hole between, and room for whatever the script does.
    private static let memory = try? GuestMemory(ranges: [0..<0x10000, 0x20000..<0x30000])

    private var input: FuzzInput
    private let reactor: Reactor
    private let port: FuzzPort
    private let transport: VirtioMMIOTransport
    private let memory: GuestMemory
    private let line: EventDescriptor

    init(_ input: consuming FuzzInput) throws {
        guard let memory = Self.memory else { throw SystemCallError("mmap") }
        for region in memory.regions {
            let bytes = try memory.bytes(at: region.base, count: region.size)
            bytes.initializeMemory(as: UInt8.self, repeating: 0)
        }
        reactor = try Reactor()
        port = try FuzzPort()
        line = try EventDescriptor()
        let device: any VirtioDevice
        switch input.next(UInt8.self) % 4 {
        case 0: device = FuzzDisk(isReadOnly: false)
        case 1: device = FuzzDisk(isReadOnly: true)
        case 2:
            guard let address = EthernetAddress("52:54:00:00:00:01") else { throw SystemCallError("address") }
            device = try NetworkDevice(address: address, port: port, reactor: reactor)
        default: device = EntropyDevice(reactor: reactor)
        }
        transport = VirtioMMIOTransport(device: device, memory: memory, interrupt: line)
        self.memory = memory
        self.input = input
    }

    func play() {
        reactor.perform { self.step() }
        reactor.run()
        transport.reset()
    }

    /// Goes on with the script up to the next pause.
    private func step() {
        while !input.isEmpty {
            if act() { return reactor.perform { self.step() } }
        }
        finish(rounds: 4)
    }

    /// Lets what is under way go on for a little.
    private func finish(rounds: Int) {
        guard rounds > 0 else { return reactor.stop() }
        reactor.perform { self.finish(rounds: rounds - 1) }
    }

    /// One act of the script; true when the reactor shall have its turn.
    private func act() -> Bool {
        let queue = UInt64(input.next(UInt8.self) & 1)
        let rings = 0x1000 + 0x4000 * queue
        switch input.next(UInt8.self) % 14 {
        case 0: write(UInt64(input.next(UInt16.self)), width: 1 << Int(input.next(UInt8.self) & 3))
        case 1: _ = transport.read(at: UInt64(input.next(UInt16.self)), width: 1 << Int(input.next(UInt8.self) & 3))
        case 2: write(UInt64(input.next(UInt8.self) & 0xfc), width: 4)
        case 3: start()
        case 4:
            // One descriptor, near where it may be right.
            let place = rings + 16 * UInt64(input.next(UInt8.self) % 20)
            let high = input.next(UInt8.self) == 0xff ? UInt64(input.next(UInt32.self)) << 32 : 0
            store(UInt64(input.next(UInt16.self)) << (input.next(UInt8.self) & 3) | high, at: place)
            store(UInt64(input.next(UInt16.self)) << (input.next(UInt8.self) & 15), at: place + 8, width: 4)
            store(UInt64(input.next(UInt8.self)), at: place + 12, width: 2)
            store(UInt64(input.next(UInt8.self)), at: place + 14, width: 2)
        case 5: makeAvailable(UInt64(input.next(UInt8.self)), in: rings)
        case 6: store(UInt64(input.next(UInt16.self)), at: rings + 0x1002, width: 2)
        case 7:
            let address = UInt64(input.next(UInt16.self))
            try? memory.write(input.next(Int(input.next(UInt8.self) & 63)), at: address)
        case 8: transport.notify(queue: Int(input.next(Int8.self)))
        case 9: port.deliver(Int(input.next(UInt16.self) & 0x7ff))
        case 10: port.setFull(input.next(UInt8.self) & 1 == 1)
        case 11: postChain(to: rings)
        case 12: writeDiskRequest()
        default: return true
        }
        return false
    }

    /// A chain that is well-formed more often than not, as chance makes none: readable pieces first, of lengths that mean
    /// something to a device, around where `writeDiskRequest` writes.
    private func postChain(to rings: UInt64) {
        let lengths: [UInt64] = [0, 1, 12, 15, 16, 20, 32, 60, 511, 512, 513, 1530, 4096, 16384, 32768, 0x8000_0000]
        let first = UInt64(input.next(UInt8.self) & 15)
        let count = UInt64(input.next(UInt8.self) & 3) + 1
        for index in first..<(first + count) {
            let choice = input.next(UInt8.self)
            let isLast = index == first + count - 1
            let place = rings + 16 * (index & 15)
            store(0x8000 + UInt64(input.next(UInt8.self) & 0x7f) << 4, at: place)
            store(lengths[Int(choice & 15)], at: place + 8, width: 4)
            store(UInt64(isLast ? 0 : 1) | UInt64(choice >> 4 & 1) << 1, at: place + 12, width: 2)
            store((index + 1) & 15, at: place + 14, width: 2)
        }
        makeAvailable(first, in: rings)
    }

    /// A disk's request at the start of the buffers: header and one extent.
    private func writeDiskRequest() {
        store(UInt64(input.next(UInt8.self) & 15), at: 0x8000)
        store(UInt64(input.next(UInt8.self)), at: 0x8008)
        store(UInt64(input.next(UInt8.self)), at: 0x8010)
        store(UInt64(input.next(UInt8.self)), at: 0x8018, width: 4)
        store(UInt64(input.next(UInt8.self) & 3), at: 0x801c, width: 4)
    }

    private func makeAvailable(_ head: UInt64, in rings: UInt64) {
        let index = (try? memory.load(UInt16.self, at: rings + 0x1002)) ?? 0
        store(head, at: rings + 0x1004 + 2 * UInt64(index & 15), width: 2)
        store(UInt64(index &+ 1), at: rings + 0x1002, width: 2)
    }

    private func write(_ offset: UInt64, width: Int) {
        transport.write(UInt64(input.next(UInt32.self)), at: offset, width: width)
    }

    private func store(_ value: UInt64, at address: UInt64, width: Int = 8) {
        try? memory.write(withUnsafeBytes(of: value) { Array($0.prefix(width)) }, at: address)
    }

    /// All that a good driver does, so that the fuzzer need not find that by chance: 16 entries for each queue.
    private func start() {
        func set(_ register: VirtioRegister, _ value: UInt32) {
            transport.write(UInt64(value), at: register.rawValue, width: 4)
        }
        set(.status, 0)
        set(.status, 1)
        set(.status, 3)
        let eventIndex: UInt32 = input.next(UInt8.self) & 1 == 1 ? 1 << 29 : 0
        set(.driverFeatures, UInt32(truncatingIfNeeded: transport.device.features.rawValue) | eventIndex)
        set(.driverFeaturesSelect, 1)
        set(.driverFeatures, 1)
        set(.status, 11)
        for queue in 0..<UInt32(transport.device.queueSizes.count) {
            set(.queueSelect, queue)
            set(.queueSize, 16)
            set(.queueDescriptorsLow, 0x1000 + 0x4000 * queue)
            set(.queueAvailableLow, 0x2000 + 0x4000 * queue)
            set(.queueUsedLow, 0x3000 + 0x4000 * queue)
            set(.queueReady, 1)
        }
        set(.status, 15)
    }
}
