import Glibc
import HostSystem

/// Makes a host file.
public func write(_ bytes: [UInt8], to path: String, mode: mode_t = 0o644) throws {
    let file = try OwnedDescriptor.open(path, O_WRONLY | O_CREAT | O_TRUNC, mode: mode)
    _ = bytes.withUnsafeBytes { Glibc.write(file.number, $0.baseAddress, $0.count) }
    chmod(path, mode)
}

/// Makes a host file of this text.
public func write(_ text: String, to path: String, mode: mode_t = 0o644) throws {
    try write(Array(text.utf8), to: path, mode: mode)
}
