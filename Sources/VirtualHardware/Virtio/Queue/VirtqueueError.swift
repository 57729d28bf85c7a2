/// What a driver did to a queue that no driver may: the device stops until it is reset (virtio 1.2, 2.1.2).
package enum VirtqueueError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The number of entries is 0, no power of two, or more than the device takes.
    case size(UInt16)
    /// A ring's address is not aligned as 2.7 asks.
    case misaligned(address: UInt64)
    /// A ring or a buffer is not in guest RAM.
    case outside(GuestMemoryError)
    /// The driver says that it has made available more than the queue holds.
    case tooManyAvailable(UInt16)
    /// The number of a descriptor that the table does not have.
    case noSuchDescriptor(UInt16)
    /// A chain that is longer than the table, so it runs in a circle.
    case endlessChain(head: UInt16)
    /// An indirect table, which was never offered.
    case indirect(head: UInt16)
    /// A buffer to read from after one to write to (2.7.4.2).
    case readableAfterWritable(head: UInt16)
    /// Buffers of more bytes than one transfer moves.
    case tooLong(head: UInt16)
    /// A request without room for its answer, or too short to be one.
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
