/// A virtio disk, read in requests of 32 KiB.
struct Disk {
    static let requestSize = 0x8000

    private let device: VirtioDevice
    /// In bytes.
    let size: Int

    /// `/dev/diskN`; nil when there is none.
    init?(path: Bytes) {
        guard path.hasPrefix("/dev/disk"), let number = path.dropping(9).number, number >= 0,
            let device = VirtioDevice(kind: VirtioDevice.disk, number: number)
        else { return nil }
        self.device = device
        device.start(queues: 1)
        let sectors = UInt(device.configuration(0)) | UInt(device.configuration(4)) << 32
        size = Int(truncatingIfNeeded: sectors &* 512)
    }

    /// Reads whole sectors; nil when the disk fails.
    func read(offset: Int, count: Int) -> Bytes? {
        let queue = device.queue(0)
        let header = device.memory &+ 0x4000
        let status = header &+ 16
        writeRegister(header, 0)
        writeRegister(header &+ 4, 0)
        writeRegister(header &+ 8, UInt32(truncatingIfNeeded: offset / 512))
        writeRegister(header &+ 12, UInt32(truncatingIfNeeded: (offset / 512) >> 32))
        writeRegister(status, 0xff)
        let whole = (count &+ 511) & ~511
        queue.describe(0, address: header, count: 16, isWritten: false, next: 1)
        queue.describe(1, address: UInt(bitPattern: Memory.data), count: whole, isWritten: true, next: 2)
        queue.describe(2, address: status, count: 1, isWritten: true)
        let before = queue.used
        device.submit(0, to: queue)
        while queue.used == before {
            probe_wait()
            device.acknowledge()
        }
        device.acknowledge()
        return readRegister(status) & 0xff == 0 ? Bytes(start: Memory.data, count: count) : nil
    }
}

extension Session {
    /// `cat DISK [BYTES]`
    mutating func cat(_ arguments: Arguments) -> Int {
        read(arguments[1], limit: arguments[2].number ?? Int.max) { session, bytes in session.write(bytes) } == nil
            ? 1 : 0
    }

    /// `cksum DISK`: the checksum of POSIX, as cksum(1) prints it.
    mutating func checksum(_ arguments: Arguments) -> Int {
        let table = Memory.checksumTable
        var index: UInt32 = 0
        while index < 256 {
            var value = index << 24
            var bit = 0
            while bit < 8 {
                value = value << 1 ^ (value & 0x8000_0000 == 0 ? 0 : 0x04c1_1db7)
                bit &+= 1
            }
            table[Int(index)] = value
            index &+= 1
        }
        var sum: UInt32 = 0
        let size = read(arguments[1], limit: Int.max) { _, bytes in
            var index = 0
            while index < bytes.count {
                sum = sum << 8 ^ table[Int(sum >> 24 ^ UInt32(bytes.start[index]))]
                index &+= 1
            }
        }
        guard let size else { return 1 }
        var rest = size
        while rest > 0 {
            sum = sum << 8 ^ table[Int(sum >> 24 ^ UInt32(truncatingIfNeeded: rest & 0xff))]
            rest >>= 8
        }
        write(Bytes(decimal: Int(~sum)))
        write(" ")
        write(Bytes(decimal: size))
        write(" ")
        write(arguments[1])
        endLine()
        return 0
    }

    /// Hands the first bytes of a disk out, piece by piece, until Ctrl-C. Returns how many; nil when that went wrong.
    private mutating func read(_ path: Bytes, limit: Int, _ body: (inout Session, Bytes) -> Void) -> Int? {
        guard let disk = Disk(path: path) else {
            _ = fail("no such disk: ", path, status: 1)
            return nil
        }
        let size = limit < disk.size ? limit : disk.size
        var offset = 0
        while offset < size, !isExiting {
            let count = size &- offset < Disk.requestSize ? size &- offset : Disk.requestSize
            guard let bytes = disk.read(offset: offset, count: count) else {
                _ = fail("read error: ", path, status: 1)
                return nil
            }
            body(&self, bytes)
            offset &+= count
            poll()
        }
        return size
    }
}
