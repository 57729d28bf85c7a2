import Glibc
import HostSystem
import Synchronization

@testable import VirtualHardware

/// A disk in memory that fails when told, and that can be held up.
final class FaultyStorage: BlockStorage {
    let size: UInt64 = 1 << 20
    let isReadOnly = false
    private let failure = Mutex<Int32?>(nil)
    private let gate = Mutex<Void>(())
    private let calls = Mutex<[String]>([])

    var log: [String] { calls.withLock { $0 } }
    func fail(_ errno: Int32?) { failure.withLock { $0 = errno } }
    /// Requests wait while `body` runs.
    func hold(_ body: () throws -> Void) rethrows { try gate.withLock { _ in try body() } }

    private func answer(_ call: String) throws(SystemCallError) {
        gate.withLock { _ in }
        calls.withLock { $0.append(call) }
        if let errno = failure.withLock({ $0 }) { throw SystemCallError(call, errno: errno) }
    }

    func read(_ target: GuestSegments, at offset: UInt64) throws(SystemCallError) { try answer("read \(offset)") }
    func write(_ source: GuestSegments, at offset: UInt64) throws(SystemCallError) { try answer("write \(offset)") }
    func flush() throws(SystemCallError) { try answer("flush") }
    func discard(_ range: Range<UInt64>) throws(SystemCallError) { try answer("discard \(range)") }
    func writeZeroes(_ range: Range<UInt64>, mayFree: Bool) throws(SystemCallError) {
        try answer("zeroes \(range) \(mayFree)")
    }
}

/// `/dev/full`: reads as zeros, and takes nothing.
final class FullDisk: BlockStorage {
    private let file: BackingFile
    let size: UInt64 = 4096
    let isReadOnly = false

    init() throws { file = try BackingFile("/dev/full", O_RDWR) }

    func read(_ target: GuestSegments, at offset: UInt64) throws(SystemCallError) { try file.read(target, at: offset) }
    func write(_ source: GuestSegments, at offset: UInt64) throws(SystemCallError) {
        try file.write(source, at: offset)
    }
    func flush() {}
    func discard(_ range: Range<UInt64>) {}
    func writeZeroes(_ range: Range<UInt64>, mayFree: Bool) {}
}
