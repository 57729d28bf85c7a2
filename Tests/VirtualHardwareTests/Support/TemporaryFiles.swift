import Glibc
import HostSystem

/// A folder for files of one test; it goes with this object.
final class TemporaryFiles {
    let path: String

    init() throws {
        var template = Array("/tmp/vmlab-test-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw SystemCallError("mkdtemp", "/tmp") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { try? FileTree.remove(path) }

    /// Makes a file; returns its path.
    func make(_ name: String, _ bytes: [UInt8]) throws -> String {
        let file = try OwnedDescriptor.open(path + "/" + name, O_WRONLY | O_CREAT | O_TRUNC)
        let written = try systemCall("write") { write(file.number, bytes, bytes.count) }
        guard written == bytes.count else { throw SystemCallError("write", errno: ENOSPC) }
        return path + "/" + name
    }

    /// All of a file.
    func bytes(_ name: String) throws -> [UInt8] {
        let file = try OwnedDescriptor.open(path + "/" + name, O_RDONLY)
        let size = try systemCall("lseek") { lseek(file.number, 0, Int32(SEEK_END)) }
        var bytes = [UInt8](repeating: 0, count: Int(size))
        let count = try systemCall("pread") { pread(file.number, &bytes, bytes.count, 0) }
        return Array(bytes.prefix(count))
    }

    /// Space that a file takes, in bytes.
    func space(of name: String) throws -> Int {
        var status = stat()
        try systemCall("stat") { stat(path + "/" + name, &status) }
        return Int(status.st_blocks) * 512
    }
}
