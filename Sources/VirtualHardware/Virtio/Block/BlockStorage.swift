import HostSystem

/// Where a disk's bytes are kept. Offsets and lengths are in bytes and lie within `size`: the device checks them.
///
/// Called on the device's own thread, one call at a time; it may wait.
package protocol BlockStorage: AnyObject, Sendable {
    /// Bytes of the disk, a multiple of 512.
    var size: UInt64 { get }
    /// Whether nothing can be written; then only `read` is called.
    var isReadOnly: Bool { get }
    /// Fills all of `target`.
    func read(_ target: GuestSegments, at offset: UInt64) throws(SystemCallError)
    /// Writes all of `source`. After an error any part of it may be written.
    func write(_ source: GuestSegments, at offset: UInt64) throws(SystemCallError)
    /// Returns when what was written is where the host's power failure does not reach it.
    func flush() throws(SystemCallError)
    /// These bytes are not needed any more; what they read as from now on is open. Only saves space: may do nothing.
    func discard(_ range: Range<UInt64>) throws(SystemCallError)
    /// These bytes read as zeros from now on. Their space is given back when `mayFree`.
    func writeZeroes(_ range: Range<UInt64>, mayFree: Bool) throws(SystemCallError)
}
