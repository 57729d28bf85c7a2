import CLinux
import HostSystem
import KVM
import VirtualHardware

/// A paused machine without its memory, as a value and as the bytes of a file. The file is a magic number, a version, a checksum
/// and the body, as `StateEncoder` writes them. It is not hostile but may be torn, old or another program's: any bytes lead at
/// worst to a refusal here. (The kernel itself checks what it restores.)
struct MachineSnapshot: Sendable, Hashable {
    struct Device: Sendable, Hashable {
        /// `StatefulDevice.stateForm`.
        var form: String
        var state: [UInt8]
    }

    /// The changes of a disk that has an overlay.
    struct Layer: Sendable, Hashable {
        /// The disk's number in the machine's configuration, from 0.
        var disk: UInt64
        var size: UInt64
        /// `OverlayStorage.Layer.blocks`.
        var blocks: [Range<UInt64>]
    }

    /// Random; the memory and the layers that belong to this have the same.
    var identity: [UInt8]
    var memory: UInt64
    /// The CPUID table of the first vCPU.
    var features: [ProcessorLeaf]
    var processors: [VCPUState]
    /// The guest's clocks, where the host reports them.
    var clock: ClockReading?
    /// The kernel's structures of both PICs and the IOAPIC.
    var controllers: [[UInt8]]
    /// In the order in which they were attached.
    var devices: [Device]
    /// Of the disks to whose overlays the guest has written.
    var layers: [Layer]

    static let magic: [UInt8] = Array("VMLABSNP".utf8)
    /// Of the file and of every part of it but the devices', whose forms have their own.
    static let version: UInt32 = 2
    private static let identityLength = 16
    /// Larger than any snapshot without memory.
    static let sizeLimit = 64 << 20

    static func newIdentity() throws(SystemCallError) -> [UInt8] {
        var identity = [UInt8](repeating: 0, count: identityLength)
        try systemCall("getrandom") { getrandom(&identity, identity.count, 0) }
        return identity
    }
}

// MARK: As bytes

extension MachineSnapshot {
    var bytes: [UInt8] {
        var body = StateEncoder()
        body.add(identity)
        body.add(memory)
        body.add(UInt64(features.count))
        for leaf in features {
            for word in [leaf.function, leaf.index] + leaf.registers { body.add(word) }
        }
        body.add(UInt64(processors.count))
        for processor in processors { processor.save(to: &body) }
        body.add(clock != nil)
        body.add(clock?.nanoseconds ?? 0)
        body.add(clock?.timeStamp != nil)
        body.add(clock?.timeStamp ?? 0)
        body.add(UInt64(controllers.count))
        for controller in controllers { body.add(controller) }
        body.add(UInt64(devices.count))
        for device in devices {
            body.add(device.form)
            body.add(device.state)
        }
        body.add(UInt64(layers.count))
        for layer in layers {
            body.add(layer.disk)
            body.add(layer.size)
            body.add(UInt64(layer.blocks.count))
            for range in layer.blocks {
                body.add(range.lowerBound)
                body.add(range.upperBound)
            }
        }
        var file = StateEncoder()
        for byte in Self.magic { file.add(byte) }
        file.add(Self.version)
        file.add(fnv1a(body.bytes))
        return file.bytes + body.bytes
    }

    init(bytes: [UInt8]) throws(SnapshotError) {
        let headerSize = Self.magic.count + 12
        guard bytes.starts(with: Self.magic), bytes.count >= headerSize else {
            throw SnapshotError("it is not a machine snapshot")
        }
        do throws(StateError) {
            var header = StateDecoder(Array(bytes[Self.magic.count..<headerSize]))
            let version: UInt32 = try header.number()
            guard version == Self.version else {
                throw StateError("it has version \(version), and this vmlab-vmm reads version \(Self.version)")
            }
            let body = Array(bytes[headerSize...])
            guard try header.number() == fnv1a(body) else {
                throw StateError("its checksum is wrong: it is incomplete or was changed")
            }
            var decoder = StateDecoder(body)
            try self.init(from: &decoder)
            try decoder.finish()
        } catch {
            throw SnapshotError(error.description)
        }
    }

    private init(from decoder: inout StateDecoder) throws(StateError) {
        identity = try decoder.bytes()
        memory = try decoder.number()
        features = []
        for _ in 0..<(try decoder.count(ofAtLeast: 24)) {
            let (function, index): (UInt32, UInt32) = (try decoder.number(), try decoder.number())
            var registers: [UInt32] = []
            for _ in 0..<4 { registers.append(try decoder.number()) }
            features.append(ProcessorLeaf(function: function, index: index, registers: registers))
        }
        processors = []
        for _ in 0..<(try decoder.count(ofAtLeast: 16)) { processors.append(try VCPUState(from: &decoder)) }
        let (hasClock, nanoseconds): (Bool, UInt64) = (try decoder.truth(), try decoder.number())
        let (hasTimeStamp, timeStamp): (Bool, UInt64) = (try decoder.truth(), try decoder.number())
        clock = hasClock ? ClockReading(nanoseconds: nanoseconds, timeStamp: hasTimeStamp ? timeStamp : nil) : nil
        controllers = []
        for _ in 0..<(try decoder.count(ofAtLeast: 8)) { controllers.append(try decoder.bytes()) }
        devices = []
        for _ in 0..<(try decoder.count(ofAtLeast: 16)) {
            devices.append(Device(form: try decoder.text(), state: try decoder.bytes()))
        }
        layers = []
        for _ in 0..<(try decoder.count(ofAtLeast: 24)) {
            let (disk, size): (UInt64, UInt64) = (try decoder.number(), try decoder.number())
            var blocks: [Range<UInt64>] = []
            for _ in 0..<(try decoder.count(ofAtLeast: 16)) {
                let (start, end): (UInt64, UInt64) = (try decoder.number(), try decoder.number())
                guard start < end else { throw StateError("a run of blocks that ends before it begins") }
                blocks.append(start..<end)
            }
            layers.append(Layer(disk: disk, size: size, blocks: blocks))
        }
    }
}

extension VCPUState {
    fileprivate func save(to encoder: inout StateEncoder) {
        encoder.add(UInt64(parts.count))
        for part in Part.allCases {
            guard let bytes = parts[part] else { continue }
            encoder.add(part.rawValue)
            encoder.add(bytes)
        }
        encoder.add(UInt64(modelSpecificRegisters.count))
        for register in modelSpecificRegisters {
            encoder.add(register.index)
            encoder.add(register.value)
        }
        encoder.add(timeStampFrequency ?? 0)
    }

    fileprivate init(from decoder: inout StateDecoder) throws(StateError) {
        var parts: [Part: [UInt8]] = [:]
        for _ in 0..<(try decoder.count(ofAtLeast: 9)) {
            let number: UInt8 = try decoder.number()
            guard let part = Part(rawValue: number) else {
                throw StateError("there is no part \(number) of a processor")
            }
            parts[part] = try decoder.bytes()
        }
        var registers: [ModelSpecificRegister] = []
        for _ in 0..<(try decoder.count(ofAtLeast: 12)) {
            registers.append(ModelSpecificRegister(index: try decoder.number(), value: try decoder.number()))
        }
        let frequency: UInt32 = try decoder.number()
        self.init(
            parts: parts, modelSpecificRegisters: registers, timeStampFrequency: frequency == 0 ? nil : frequency)
    }
}
