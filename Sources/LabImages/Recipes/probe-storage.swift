// Files in memory, and disks: what reads and writes them.

extension Shell {
    /// What a path names.
    enum Content {
        case file(Text)
        case disk(Int)
    }

    func content(_ path: Text) -> Content? {
        if let disk = disk(path) { return .disk(disk) }
        return files[path].map { .file($0) }
    }

    /// A disk by its letter (`/dev/vda`), its number (`0`, `\\.\PhysicalDrive0`) or its serial (`/dev/disk/by-id/SERIAL`).
    private func disk(_ path: Text) -> Int? {
        let last = path.split { $0 == 47 || $0 == 92 }.last.map { Text($0) } ?? []
        var number: Int?
        if last.begins("vd"), last.count == 3 { number = Int(last[2]) - 97 }
        if last.lowercased.begins("physicaldrive") { number = Text(last.dropFirst(13)).number }
        if last.count < 3 { number = last.number }
        if let number, machine.disks.indices.contains(number) { return number }
        return machine.disks.firstIndex { !last.isEmpty && $0.serial == last }
    }

    /// Puts bytes into a file, or at the beginning of a disk.
    func store(_ bytes: Text, _ path: Text, appending: Bool) -> Bool {
        if path == "/dev/null" || path.lowercased == "nul" { return true }
        guard let disk = disk(path) else {
            files[path] = appending ? (files[path] ?? []) + bytes : bytes
            return true
        }
        let padding = Text(repeating: 0, count: (512 - bytes.count % 512) % 512)
        if machine.write(disk: disk, sector: 0, bytes: bytes + padding) { return true }
        complain(Text("cannot write to ") + path)
        return false
    }

    /// Gives the first bytes of a file or disk, at most `limit`, to `body` piece by piece. False when it has none or a disk fails.
    private func read(_ path: Text, limit: Int?, _ body: (ArraySlice<UInt8>) -> Void) -> Bool {
        switch content(path) {
        case nil:
            complain(
                language == .cmd
                    ? Text("The system cannot find the file specified.")
                    : Text("can't open '") + path + Text("': No such file or directory"))
            return false
        case .file(let bytes):
            body(bytes.prefix(limit ?? bytes.count))
            return true
        case .disk(let disk):
            let size = machine.disks[disk].sectors * 512
            let end = min(limit ?? size, size)
            var place = 0
            while place < end, goesOn {
                let sectors = min(128, (end - place + 511) / 512)
                guard let bytes = machine.read(disk: disk, sector: place / 512, count: sectors) else {
                    complain(Text("cannot read ") + path)
                    return false
                }
                body(bytes.prefix(end - place))
                place += sectors * 512
            }
            return true
        }
    }

    /// `cat [-c COUNT] FILE…`
    func cat(_ arguments: [Text]) -> Int32 {
        var names = arguments
        var limit: Int?
        if let option = names.firstIndex(where: { $0 == "-c" || $0 == "/c" }), option + 1 < names.count {
            limit = max(0, names[option + 1].number ?? 0)
            names.removeSubrange(option...(option + 1))
        }
        var status: Int32 = 0
        for name in names where !read(name, limit: limit, { say(Text($0)) }) { status = 1 }
        return status
    }

    /// POSIX's cksum: CRC, size, name.
    func cksum(_ arguments: [Text]) -> Int32 {
        var status: Int32 = 0
        for name in arguments {
            var sum = CheckSum()
            guard read(name, limit: nil, { sum.add($0) }) else {
                status = 1
                continue
            }
            var line: Text = []
            line.append(decimal: Int(sum.finish()))
            line.append(32)
            line.append(decimal: sum.count)
            sayLine(line + [32] + name)
        }
        return status
    }

    func disks() -> Int32 {
        for (number, disk) in machine.disks.enumerated() {
            var line = Text("vd") + [97 + UInt8(truncatingIfNeeded: number), 32]
            line += disk.serial.isEmpty ? Text("-") : disk.serial
            line.append(32)
            line.append(decimal: disk.sectors * 512)
            line += disk.isReadOnly ? " ro" : " rw"
            sayLine(line)
        }
        return 0
    }
}

/// The CRC of POSIX's cksum (ISO/IEC 8802-3's polynomial, the length behind the bytes).
struct CheckSum {
    private let table: [UInt32] = (0..<256).map { (byte: UInt32) in
        (0..<8).reduce(byte << 24) { value, _ in value & 0x8000_0000 != 0 ? value << 1 ^ 0x04c1_1db7 : value << 1 }
    }
    private var value: UInt32 = 0
    private(set) var count = 0

    mutating func add(_ bytes: ArraySlice<UInt8>) {
        count += bytes.count
        for byte in bytes { step(byte) }
    }

    private mutating func step(_ byte: UInt8) {
        value = value << 8 ^ table[Int(UInt8(truncatingIfNeeded: value >> 24) ^ byte)]
    }

    /// The sum of all; nothing can be added afterwards.
    mutating func finish() -> UInt32 {
        var length = count
        while length > 0 {
            step(UInt8(truncatingIfNeeded: length))
            length >>= 8
        }
        return ~value
    }
}
