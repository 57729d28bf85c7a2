import Glibc
import Hashing
import HostSystem
import LabTestSupport
import Testing

@Suite("SHA-256")
struct SHA256Tests {
    @Test("it agrees with the standard's examples, at every length around a block")
    func examples() {
        #expect(SHA256.hex("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        #expect(SHA256.hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(
            SHA256.hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")
                == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1")
        var whole = SHA256()
        whole.update([UInt8](repeating: 97, count: 1000))
        var parts = SHA256()
        for count in [1, 54, 9, 64, 127, 745] { parts.update([UInt8](repeating: 97, count: count)) }
        let expected = "41edece42d63e8d9bf515a9ba6932e1c20cbc9f5a5d134645adb5db1b9737ea3"
        #expect(whole.finish() == expected)
        #expect(parts.finish() == expected)
    }

    @Test("a file's hash is that of its bytes, which are more than are read at a time")
    func file() async throws {
        try await withTemporaryFolder { folder in
            let path = "\(folder)/file"
            let bytes = (0..<1_000_003).map { UInt8(truncatingIfNeeded: $0 &* 7 >> 3) }
            try write(bytes, to: path, at: 0)
            let expected = SHA256.hex(bytes)
            #expect(try await FileHash.sha256(of: path) == expected)
            #expect(try await FileHash.sha256(of: bytes) == expected)
            await #expect(throws: SystemCallError.self) { try await FileHash.sha256(of: folder) }
            await #expect(throws: SystemCallError.self) { try await FileHash.sha256(of: "\(folder)/none") }
        }
    }

    @Test("the hash of a sparse file is that of what it reads as, wherever its holes are")
    func sparseFile() async throws {
        try await withTemporaryFolder { folder in
            let (holes, zeros, other) = ("\(folder)/h", "\(folder)/z", "\(folder)/o")
            for path in [holes, zeros, other] {
                try FileTree.makeSparseFile(path, size: 3_000_001)
                try write(Array("in the middle".utf8), to: path, at: 1_000_000)
                try write([1], to: path, at: 3_000_000)
            }
            try write([UInt8](repeating: 0, count: 500_000), to: zeros, at: 2_000_000)
            try write([1], to: other, at: 2_000_000)
            let hash = try await FileHash.sha256(ofSparse: holes)
            // What it is the hash of is kept in manifests: another would have every golden made again.
            let text = "in the middle"
            let page = [UInt8](repeating: 0, count: 576) + Array(text.utf8) + [UInt8](repeating: 0, count: 3507)
            let last = [UInt8](repeating: 0, count: 1728) + [1]
            var expected = SHA256()
            for piece in ["3000001\n", "999424 4096\n"] { expected.update(Array(piece.utf8)) }
            expected.update(page)
            expected.update(Array("2998272 1729\n".utf8))
            expected.update(last)
            #expect(hash == expected.finish())
            #expect(try await FileHash.sha256(ofSparse: zeros) == hash)
            #expect(try await FileHash.sha256(ofSparse: other) != hash)
            try FileTree.makeSparseFile("\(folder)/e", size: 0)
            try FileTree.makeSparseFile("\(folder)/f", size: 1 << 40)
            let empty = try await FileHash.sha256(ofSparse: "\(folder)/e")
            #expect(empty == SHA256.hex("0\n"))
            #expect(try await FileHash.sha256(ofSparse: "\(folder)/f") == SHA256.hex("\(1 << 40)\n"))
            await #expect(throws: SystemCallError.self) { try await FileHash.sha256(ofSparse: "/nonexistent") }
        }
    }

    @Test("hashing a file without an end is over once its task is cancelled", .timeLimit(.minutes(1)))
    func cancelled() async throws {
        let hashing = Task { try await FileHash.sha256(of: "/dev/zero") }
        hashing.cancel()
        await #expect(throws: CancellationError.self) { try await hashing.value }
    }

    private func write(_ bytes: [UInt8], to path: String, at offset: off_t) throws {
        let file = try OwnedDescriptor.open(path, O_WRONLY | O_CREAT)
        #expect(pwrite(file.number, bytes, bytes.count, offset) == bytes.count)
    }
}
