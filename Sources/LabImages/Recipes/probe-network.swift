/// The first virtio network card: broadcast frames of the ethertype for local experiments (IEEE 802), text inside.
struct NetworkCard {
    private static let headerSize = 12
    private static let bufferSize: UInt = 0x800

    let device: VirtioDevice
    private let receiver: Virtqueue
    private let sender: Virtqueue
    /// Received chains looked at so far, modulo 65536.
    private(set) var seen: UInt32 = 0

    /// Starts the card, which receives from now on; nil when there is none.
    init?() {
        guard let device = VirtioDevice(kind: VirtioDevice.network, number: 0) else { return nil }
        self.device = device
        device.start(queues: 2)
        receiver = device.queue(0)
        sender = device.queue(1)
        var index: UInt = 0
        while index < VirtioDevice.queueSize {
            receiver.describe(index, address: buffer(index), count: Int(Self.bufferSize), isWritten: true)
            device.submit(UInt32(index), to: receiver)
            index &+= 1
        }
    }

    private func buffer(_ index: UInt) -> UInt { device.memory &+ 0x4000 &+ index &* Self.bufferSize }

    /// Whether a frame waits. Safe to ask at any time.
    var hasFrame: Bool {
        device.acknowledge()
        return receiver.used != seen
    }

    /// Sends a text of at most 1400 bytes.
    func send(_ text: Bytes) {
        let address = device.memory &+ 0xc000
        guard let start = UnsafeMutablePointer<UInt8>(bitPattern: address) else { return }
        var frame = TextBuffer(start, limit: Self.headerSize &+ 14 &+ 1400)
        var index = 0
        while index < Self.headerSize &+ 6 {
            frame.append(index < Self.headerSize ? 0 : 0xff)
            index &+= 1
        }
        let mac = (device.configuration(0), device.configuration(4))
        index = 0
        while index < 6 {
            let word = index < 4 ? mac.0 : mac.1
            frame.append(UInt8(truncatingIfNeeded: word >> UInt32(index & 3 &* 8)))
            index &+= 1
        }
        frame.append(0x88)
        frame.append(0xb5)
        frame.append(text)
        while frame.count < Self.headerSize &+ 60 { frame.append(0) }
        sender.describe(0, address: address, count: frame.count, isWritten: false)
        let before = sender.used
        device.submit(0, to: sender)
        while sender.used == before {
            probe_wait()
            device.acknowledge()
        }
    }

    /// Takes the next frame; its text if it is one of ours. The text stays until the next frame is taken.
    mutating func take() -> Bytes? {
        let (head, count) = receiver.chain(seen)
        seen = (seen &+ 1) & 0xffff
        var text: Bytes?
        if let start = UnsafeMutablePointer<UInt8>(bitPattern: buffer(UInt(head) % VirtioDevice.queueSize)) {
            let frame = Bytes(start: start, count: count).dropping(Self.headerSize)
            if frame[12] == 0x88, frame[13] == 0xb5 {
                let payload = frame.dropping(14)
                var kept = TextBuffer(Memory.data, limit: 1500)
                kept.append(payload.prefix(payload.index(of: 0)))
                text = kept.bytes
            }
        }
        device.submit(head, to: receiver)
        return text
    }
}

extension Session {
    /// `net send TEXT…` or `net receive SECONDS`
    mutating func net(_ arguments: Arguments) -> Int {
        guard let card = network else { return fail("there is no network card", Bytes(""), status: 1) }
        if arguments[1] == "send" {
            card.send(arguments[2])
            return 0
        }
        guard arguments[1] == "receive", let seconds = arguments[2].number, seconds >= 0 else {
            return fail("usage: net send TEXT | net receive SECONDS", Bytes(""), status: 2)
        }
        // What else is on the network must not take the time for ours from us.
        var left = seconds &* 10
        while left >= 0, !isExiting {
            while network?.hasFrame == true {
                guard let text = network?.take() else { continue }
                write(text)
                endLine()
                return 0
            }
            left &-= 1
            let card = network
            _ = wait(milliseconds: 100) { card?.hasFrame == true }
        }
        return isExiting ? status : fail("no frame came", Bytes(""), status: 1)
    }
}
