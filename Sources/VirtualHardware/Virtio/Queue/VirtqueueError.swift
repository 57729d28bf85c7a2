/// A driver's protocol violation on a queue: the device stops until it is reset (virtio 1.2, 2.1.2).
package enum VirtqueueError: Error, Sendable, Hashable, CustomStringConvertible {
    case size(UInt16)
    case misaligned(address: UInt64)
    case outside(GuestMemoryError)
    case tooManyAvailable(UInt16)
    case noSuchDescriptor(UInt16)
    case endlessChain(head: UInt16)
    case indirect(head: UInt16)
    case readableAfterWritable(head: UInt16)
    case tooLong(head: UInt16)
    case malformedRequest(head: UInt16)

    package var description: String {
        switch self {
        case .size(let size): "a queue of \(size) entries"
        case .misaligned(let address): "a ring at 0x\(String(address, radix: 16)), which is not aligned"
        case .outside(let error): error.description
        case .tooManyAvailable(let count): "\(count) buffers made available at once, more than the queue holds"
        case .noSuchDescriptor(let index): "descriptor \(index), which the queue does not have"
        case .endlessChain(let head): "the chain at descriptor \(head) has no end"
        case .indirect(let head): "the chain at descriptor \(head) has an indirect table, which was not offered"
        case .readableAfterWritable(let head): "the chain at descriptor \(head) is readable after a writable part"
        case .tooLong(let head): "the chain at descriptor \(head) has more bytes than one request may"
        case .malformedRequest(let head): "the chain at descriptor \(head) is not a request of this device"
        }
    }
}
