import FuzzSupport
import Glibc
import HostSystem
@testable import MicroVM
import VirtualHardware

// Kernel files of any content: loading ends in an error or in an entry within RAM.

/// A file without a name, and its path.
private nonisolated(unsafe) let file: Int32 = {
    var template = Array("/dev/shm/vmlab-fuzz-XXXXXX".utf8CString)
    let number = mkstemp(&template)
    require(number >= 0, "no file in /dev/shm")
    unlink(template)
    return number
}()
private let path = "/proc/self/fd/\(file)"

/// The least that a machine has, in bytes.
private let leastMemory: UInt64 = 32 << 20
private let memory: GuestMemory = {
    guard let memory = try? GuestMemory(ranges: [0..<leastMemory]) else { fatalError("no memory") }
    return memory
}()

/// One kernel file.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    guard count > 0, let start else { return 0 }
    // The first byte says whether there is an initial RAM disk, and how long the command line is.
    ftruncate(file, 0)
    require(pwrite(file, start + 1, count - 1, 0) == count - 1, "the file takes no more")
    let line = String(repeating: "a", count: Int(start[0] >> 1) * 20)
    do {
        let loader = try GuestLoader(kernel: path, initrd: start[0] & 1 == 1 ? path : nil, commandLine: line)
        let entry = try loader.load(into: memory)
        if case .long(let address) = entry { require(address <= leastMemory, "an entry outside RAM") }
    } catch {
        require(!"\(error)".isEmpty, "an error without words")
    }
    try? memory.clear()
    return 0
}
