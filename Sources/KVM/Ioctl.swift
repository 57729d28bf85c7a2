import CKVM
import Glibc
import HostSystem

/// Calls KVM with a value as its argument.
@discardableResult
func kvm<Argument>(
    _ call: String, _ descriptor: borrowing OwnedDescriptor, _ request: UInt, _ argument: inout Argument
) throws(SystemCallError) -> Int32 {
    let number = descriptor.number
    return try withUnsafeMutablePointer(to: &argument) { pointer throws(SystemCallError) in
        try systemCall(call) { vmlab_kvm(number, request, pointer) }
    }
}

/// Calls KVM with a value that it fills or changes; returns that.
func kvm<Value>(
    reading call: String, _ descriptor: borrowing OwnedDescriptor, _ request: UInt, into value: consuming Value
) throws(SystemCallError) -> Value {
    try kvm(call, descriptor, request, &value)
    return value
}

/// Calls KVM with a value that it only reads.
func kvm<Value>(
    writing value: consuming Value, _ call: String, _ descriptor: borrowing OwnedDescriptor, _ request: UInt
) throws(SystemCallError) {
    try kvm(call, descriptor, request, &value)
}

/// Reads a table of any length: repeats with more room while the kernel returns E2BIG.
func kvm<Entry: BitwiseCopyable>(
    table call: String, _ descriptor: borrowing OwnedDescriptor, _ request: UInt, header: Int, of entry: Entry
) throws(SystemCallError) -> [Entry] {
    var size = 128
    while true {
        var entries = [Entry](repeating: entry, count: size)
        do throws(SystemCallError) {
            let (_, count) = try kvm(call, descriptor, request, header: header, entries: &entries)
            return Array(entries[..<count])
        } catch {
            guard error.errno == E2BIG, size < 4096 else { throw error }
            size *= 2
        }
    }
}

/// Calls KVM with a number as its argument, or none.
@discardableResult
func kvm(
    _ call: String, _ descriptor: borrowing OwnedDescriptor, _ request: UInt, number argument: UInt = 0
) throws(SystemCallError) -> Int32 {
    let number = descriptor.number
    return try systemCall(call) { vmlab_kvm(number, request, UnsafeMutableRawPointer(bitPattern: argument)) }
}

/// Calls KVM with a structure that ends in a table of entries; returns the kernel's entry count. `header` bytes precede the
/// entries; the first four of them are the count.
func kvm<Entry: BitwiseCopyable>(
    _ call: String, _ descriptor: borrowing OwnedDescriptor, _ request: UInt, header: Int, entries: inout [Entry]
) throws(SystemCallError) -> (result: Int32, count: Int) {
    let number = descriptor.number
    let stride = MemoryLayout<Entry>.stride
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: header + entries.count * stride, alignment: 8)
    defer { buffer.deallocate() }
    buffer.initializeMemory(as: UInt8.self, repeating: 0)
    buffer.storeBytes(of: UInt32(truncatingIfNeeded: entries.count), as: UInt32.self)
    entries.withUnsafeBytes { UnsafeMutableRawBufferPointer(rebasing: buffer[header...]).copyMemory(from: $0) }
    let result = try systemCall(call) { vmlab_kvm(number, request, buffer.baseAddress) }
    let count = min(Int(buffer.load(as: UInt32.self)), entries.count)
    for index in 0..<count {
        entries[index] = buffer.load(fromByteOffset: header + index * stride, as: Entry.self)
    }
    return (result, count)
}

/// Makes an optional request; false when this host does not support it.
func offered(_ body: () throws(SystemCallError) -> Void) throws(SystemCallError) -> Bool {
    do throws(SystemCallError) {
        try body()
        return true
    } catch {
        guard [EINVAL, ENOTTY, ENXIO, EIO, ENOTSUP].contains(error.errno) else { throw error }
        return false
    }
}
