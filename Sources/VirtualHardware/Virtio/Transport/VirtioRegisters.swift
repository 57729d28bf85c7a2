/// Registers of virtio over MMIO, version 2 (virtio 1.2, 4.2.2): offsets of 32-bit words.
enum VirtioRegister: UInt64 {
    case magic = 0x000
    case version = 0x004
    case deviceID = 0x008
    case vendorID = 0x00c
    case deviceFeatures = 0x010
    case deviceFeaturesSelect = 0x014
    case driverFeatures = 0x020
    case driverFeaturesSelect = 0x024
    case queueSelect = 0x030
    case queueSizeMax = 0x034
    case queueSize = 0x038
    case queueReady = 0x044
    case queueNotify = 0x050
    case interruptStatus = 0x060
    case interruptAcknowledge = 0x064
    case status = 0x070
    case queueDescriptorsLow = 0x080
    case queueDescriptorsHigh = 0x084
    case queueAvailableLow = 0x090
    case queueAvailableHigh = 0x094
    case queueUsedLow = 0x0a0
    case queueUsedHigh = 0x0a4
    case configurationGeneration = 0x0fc

    /// Where the device's own configuration space begins; bytes from here on.
    static let configuration: UInt64 = 0x100
}

/// The device status field (virtio 1.2, 2.1).
struct VirtioStatus: OptionSet, Sendable, Hashable {
    let rawValue: UInt32
    static let acknowledge = VirtioStatus(rawValue: 1)
    static let driver = VirtioStatus(rawValue: 2)
    static let driverOK = VirtioStatus(rawValue: 4)
    static let featuresOK = VirtioStatus(rawValue: 8)
    static let needsReset = VirtioStatus(rawValue: 64)
    static let failed = VirtioStatus(rawValue: 128)
}
