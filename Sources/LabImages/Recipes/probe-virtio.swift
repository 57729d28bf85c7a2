/// A virtio device behind registers in memory (virtio 1.2, 4.2).
struct VirtioDevice {
    let base: UInt
    let kind: UInt32

    private enum Register {
        static let magic: UInt = 0, version: UInt = 4, kind: UInt = 8
        static let features: UInt = 0x10, featuresPage: UInt = 0x14
        static let accepted: UInt = 0x20, acceptedPage: UInt = 0x24
        static let queue: UInt = 0x30, queueLimit: UInt = 0x34, queueSize: UInt = 0x38, queueReady: UInt = 0x44
        static let notify: UInt = 0x50, interrupts: UInt = 0x60, acknowledge: UInt = 0x64, status: UInt = 0x70
        static let table: UInt = 0x80, available: UInt = 0x90, used: UInt = 0xa0, configuration: UInt = 0x100
    }

    /// Where devices are: vmlab's own machine, and QEMU's microvm.
    private static var windows: InlineArray<2, (base: UInt, size: UInt, count: UInt, interrupt: UInt32)> {
        [(0xd000_0000, 0x1000, 18, 6), (0xfeb0_0000, 0x200, 8, 5)]
    }

    /// All that there are, in order; the first window with a device counts. Lets their interrupts through.
    static func all() -> [VirtioDevice] {
        var devices: [VirtioDevice] = []
        for index in 0..<2 where devices.isEmpty {
            let window = windows[index]
            for number in 0..<window.count {
                let base = window.base + number * window.size
                // "virt"; devices come without gaps.
                guard probe_load(base) == 0x7472_6976 else { break }
                let kind = probe_load(base + Register.kind)
                guard kind == 1 || kind == 2, probe_load(base + Register.version) == 2 else { continue }
                Interrupts.enable(window.interrupt + UInt32(number))
                devices.append(VirtioDevice(base: base, kind: kind))
            }
        }
        return devices
    }

    /// Begins to use the device (3.1.1): resets it and agrees on these of its low features. Queues come next, then `go`.
    func start(features wanted: UInt32) -> UInt32 {
        set(Register.status, 0)
        set(Register.status, 1 | 2)
        set(Register.featuresPage, 0)
        let features = get(Register.features) & wanted
        set(Register.acceptedPage, 0)
        set(Register.accepted, features)
        // VIRTIO_F_VERSION_1
        set(Register.acceptedPage, 1)
        set(Register.accepted, 1)
        set(Register.status, 1 | 2 | 8)
        return features
    }

    func go() { set(Register.status, 1 | 2 | 8 | 4) }

    /// A queue of at most so many descriptors.
    func queue(_ number: UInt32, size: UInt32) -> Virtqueue {
        set(Register.queue, number)
        let queue = Virtqueue(device: self, number: number, size: Int(min(size, get(Register.queueLimit))))
        set(Register.queueSize, UInt32(queue.size))
        for (register, address) in [
            (Register.table, queue.table), (Register.available, queue.available), (Register.used, queue.used),
        ] {
            set(register, UInt32(truncatingIfNeeded: address))
            set(register + 4, UInt32(truncatingIfNeeded: address >> 32))
        }
        set(Register.queueReady, 1)
        return queue
    }

    func notify(_ queue: UInt32) { set(Register.notify, queue) }

    /// Takes the device's interrupt back, so that the next one is an edge again.
    func acknowledge() {
        let pending = get(Register.interrupts)
        if pending != 0 { set(Register.acknowledge, pending) }
    }

    /// Four bytes of the device's own configuration.
    func configuration(_ offset: UInt) -> UInt32 { get(Register.configuration + offset) }

    private func get(_ register: UInt) -> UInt32 { probe_load(base + register) }
    private func set(_ register: UInt, _ value: UInt32) { probe_store(base + register, value) }
}

/// A split virtqueue (2.7) whose buffers are given and taken in order of their need.
struct Virtqueue {
    let device: VirtioDevice
    let number: UInt32
    let size: Int
    let table: UInt
    let available: UInt
    let used: UInt
    private var given: UInt16 = 0
    private var taken: UInt16 = 0

    init(device: VirtioDevice, number: UInt32, size: Int) {
        (self.device, self.number, self.size) = (device, number, size)
        table = allocatePages(3 * 4096)
        available = table + 4096
        used = table + 2 * 4096
    }

    /// Writes a descriptor: a buffer, whether the device writes to it, and the next of its chain.
    func describe(_ index: Int, address: UInt, length: Int, isWritable: Bool, next: Int? = nil) {
        let descriptor = table + UInt(index) * 16
        probe_store(descriptor, UInt32(truncatingIfNeeded: address))
        probe_store(descriptor + 4, UInt32(truncatingIfNeeded: address >> 32))
        probe_store(descriptor + 8, UInt32(length))
        probe_store(descriptor + 12, (next == nil ? 0 : 1) | (isWritable ? 2 : 0) | UInt32(next ?? 0) << 16)
    }

    /// Gives the device the chain that begins at a descriptor.
    mutating func give(_ head: Int) {
        probe_store16(available + 4 + UInt(given) % UInt(size) * 2, UInt16(head))
        given &+= 1
        probe_store16(available + 2, given)
    }

    func notify() { device.notify(number) }

    /// Takes a chain back: its head, and how much the device wrote. Nil when it has none ready.
    mutating func take() -> (head: Int, length: Int)? {
        guard probe_load16(used + 2) != taken else { return nil }
        let element = used + 4 + UInt(taken) % UInt(size) * 8
        taken &+= 1
        return (Int(probe_load(element)), Int(probe_load(element + 4)))
    }
}

/// Copies bytes into memory that a device reads.
func copy(_ bytes: ArraySlice<UInt8>, to address: UInt) {
    guard let target = UnsafeMutablePointer<UInt8>(bitPattern: address) else { return }
    bytes.withUnsafeBufferPointer { buffer in
        if let start = buffer.baseAddress { target.update(from: start, count: buffer.count) }
    }
}

/// The bytes that a device wrote to memory.
func bytes(at address: UInt, count: Int) -> Text {
    Text(UnsafeBufferPointer(start: UnsafePointer<UInt8>(bitPattern: address), count: count))
}
