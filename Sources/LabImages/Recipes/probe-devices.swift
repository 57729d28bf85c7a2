/// A virtio block device (5.2): one request at a time, of at most 64 KiB.
struct BlockDriver {
    private static var mostBytes: Int { 64 << 10 }
    private(set) var disk: ProbeDisk
    private var queue: Virtqueue
    private let buffer: UInt

    init(_ device: VirtioDevice) {
        // VIRTIO_BLK_F_RO
        let features = device.start(features: 1 << 5)
        queue = device.queue(0, size: 4)
        device.go()
        // The header, the status, and behind them the data.
        buffer = allocatePages(4096 + Self.mostBytes)
        let sectors = Int(device.configuration(0)) | Int(device.configuration(4)) << 32
        disk = ProbeDisk(serial: [], sectors: sectors, isReadOnly: features != 0)
        // VIRTIO_BLK_T_GET_ID
        if request(8, sector: 0, reading: 20) {
            disk.serial = Text(bytes(at: buffer + 4096, count: 20).prefix { $0 != 0 })
        }
    }

    mutating func read(sector: Int, count: Int) -> Text? {
        let length = count * 512
        guard length <= Self.mostBytes, request(0, sector: sector, reading: length) else { return nil }
        return bytes(at: buffer + 4096, count: length)
    }

    mutating func write(sector: Int, bytes: Text) -> Bool {
        var place = 0
        while place < bytes.count {
            let piece = bytes[place..<min(place + Self.mostBytes, bytes.count)]
            copy(piece, to: buffer + 4096)
            guard request(1, sector: sector + place / 512, writing: piece.count) else { return false }
            place += piece.count
        }
        return true
    }

    private mutating func request(_ type: UInt32, sector: Int, reading: Int = 0, writing: Int = 0) -> Bool {
        probe_store(buffer, type)
        probe_store(buffer + 4, 0)
        probe_store(buffer + 8, UInt32(truncatingIfNeeded: sector))
        probe_store(buffer + 12, UInt32(truncatingIfNeeded: sector >> 32))
        probe_store(buffer + 16, 0xff)
        queue.describe(0, address: buffer, length: 16, isWritable: false, next: 1)
        queue.describe(1, address: buffer + 4096, length: reading + writing, isWritable: reading > 0, next: 2)
        queue.describe(2, address: buffer + 16, length: 1, isWritable: true)
        queue.give(0)
        queue.notify()
        while queue.take() == nil { probe_wait() }
        queue.device.acknowledge()
        return probe_load(buffer + 16) & 0xff == 0
    }
}

/// A virtio network card (5.1): a few buffers for what comes, one for what goes.
struct NetworkDriver {
    private static var buffers: Int { 16 }
    private static var bufferSize: Int { 2048 }
    /// `virtio_net_hdr` of a virtio 1 device; all zeros asks for nothing.
    private static var header: Int { 12 }

    private(set) var card: ProbeCard
    private var incoming: Virtqueue
    private var outgoing: Virtqueue
    private let memory: UInt

    init(_ device: VirtioDevice) {
        // VIRTIO_NET_F_MAC
        _ = device.start(features: 1 << 5)
        incoming = device.queue(0, size: UInt32(Self.buffers))
        outgoing = device.queue(1, size: 1)
        let (low, high) = (device.configuration(0), device.configuration(4))
        card = ProbeCard(
            address: (0..<6).map { UInt8(truncatingIfNeeded: $0 < 4 ? low >> (8 * $0) : high >> (8 * ($0 - 4))) })
        memory = allocatePages((Self.buffers + 1) * Self.bufferSize)
        // No interrupt for what was sent (VIRTQ_AVAIL_F_NO_INTERRUPT): the next sending looks.
        probe_store16(outgoing.available, 1)
        for index in 0..<incoming.size {
            let address = memory + UInt((index + 1) * Self.bufferSize)
            incoming.describe(index, address: address, length: Self.bufferSize, isWritable: true)
            incoming.give(index)
        }
        device.go()
        incoming.notify()
    }

    mutating func send(_ frame: Text) {
        copy(Text(repeating: 0, count: Self.header) + frame, to: memory)
        outgoing.describe(0, address: memory, length: Self.header + frame.count, isWritable: false)
        outgoing.give(0)
        outgoing.notify()
        while outgoing.take() == nil {}
        card.sent += 1
    }

    /// The next frame that came; nil when there is none.
    mutating func receive() -> Text? {
        guard let (head, length) = incoming.take() else { return nil }
        card.received += 1
        let address = memory + UInt((head + 1) * Self.bufferSize + Self.header)
        let frame = bytes(at: address, count: max(0, min(length, Self.bufferSize) - Self.header))
        incoming.give(head)
        incoming.notify()
        incoming.device.acknowledge()
        return frame
    }
}

extension ArraySlice<UInt8> {
    fileprivate init(_ text: Text) { self = text[...] }
}

/// Copies a whole text.
private func copy(_ text: Text, to address: UInt) { copy(text[...], to: address) }
