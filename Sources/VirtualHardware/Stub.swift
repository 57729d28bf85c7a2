import Glibc
import HostSystem
public protocol VirtioDevice: AnyObject, Sendable { var queueSizes: [UInt16] { get } }
public final class VirtioMMIOTransport: BusDevice {
    public static let queueNotify: UInt64 = 0x50
    public init(device: any VirtioDevice, memory: GuestMemory, interrupt: any InterruptLine) {}
    public func read(at offset: UInt64, width: Int) -> UInt64 { .max }
    public func write(_ value: UInt64, at offset: UInt64, width: Int) {}
    public func notify(queue: Int) {}
    public func reset() {}
}
