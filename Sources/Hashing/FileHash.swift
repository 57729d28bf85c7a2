import Glibc
import HostSystem

/// SHA-256 hashes in hexadecimal of what takes a while: computed on a thread of their own, which ends soon once the task is
/// cancelled. All throw `CancellationError` then, and a `SystemCallError` when the file cannot be read.
package enum FileHash {
    /// What is read at a time, in bytes. In a sparse file, runs of pages end at its multiples.
    private static let window = 256 << 10
    private static let page = 4096

    /// The hash of a file's bytes.
    package static func sha256(of path: String) async throws -> String {
        try await hash(path) { file, hash, flag in
            var offset = 0
            while true {
                try flag.check()
                let piece = try file.read(upTo: window, at: offset, path)
                if piece.isEmpty { return }
                hash.update(piece)
                offset += piece.count
            }
        }
    }

    /// The hash of bytes that are many.
    package static func sha256(of bytes: [UInt8]) async throws -> String {
        try await HostThread.run("hash") { _ in SHA256.hex(bytes) }
    }

    /// The hash of a large file that is mostly holes: of its length and its pages that are not all zeros, each run of them
    /// after its offset. Where the file system keeps zeros, as a hole or written out, makes no difference.
    package static func sha256(ofSparse path: String) async throws -> String {
        try await hash(path) { file, hash, flag in
            let size = Int(try file.status(path).st_size)
            hash.update(Array("\(size)\n".utf8))
            var offset = 0
            for data in file.data(in: size) {
                offset = max(offset, data.lowerBound / window * window)
                while offset < data.upperBound {
                    try flag.check()
                    add(try file.read(upTo: window, at: offset, path), at: offset, to: &hash)
                    offset += window
                }
            }
        }
    }

    private static func hash(
        _ path: String,
        _ read: @escaping @Sendable (borrowing OwnedDescriptor, inout SHA256, CancellationFlag) throws -> Void
    ) async throws -> String {
        try await HostThread.run("hash") { flag in
            let file = try OwnedDescriptor.open(path, O_RDONLY)
            var hash = SHA256()
            try read(file, &hash, flag)
            return hash.finish()
        }
    }

    /// Adds the runs of pages that are not zeros in the bytes at an offset.
    private static func add(_ bytes: [UInt8], at offset: Int, to hash: inout SHA256) {
        func add(_ run: Range<Int>) {
            guard !run.isEmpty else { return }
            hash.update(Array("\(offset + run.lowerBound) \(run.count)\n".utf8))
            hash.update(bytes[run])
        }
        var start = 0
        for place in stride(from: 0, to: bytes.count, by: page) {
            let end = min(place + page, bytes.count)
            if bytes[place..<end].isZeros {
                add(start..<place)
                start = end
            }
        }
        add(start..<bytes.count)
    }
}
