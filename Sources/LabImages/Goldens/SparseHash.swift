import Glibc
import HostSystem

extension FileHash {
    /// The hash of a large file that is mostly holes: of its length and its pages that are not all zeros, each run of them
    /// after its offset. Where the file system keeps zeros, as a hole or written out, makes no difference.
    ///
    /// Throws a `SystemCallError` or a `Diagnostic` when it cannot be read, and `CancellationError`.
    static func sha256(ofSparse path: String) async throws -> String {
        let file = try OwnedDescriptor.open(path, O_RDONLY)
        let link = try DescriptorPair.socketPair()
        let (source, target) = (file.number, link.first.number)
        let fed = Completion<Result<Void, SystemCallError>>()
        let thread = try HostThread("hash") { fed.fulfil(Feeder(source, target, path).run()) }
        let tool: Result<ToolResult, any Error>
        do {
            tool = .success(
                try await Tool.run(
                    "sha256sum", package: "coreutils", standardInput: .descriptor(link.second.number)))
        } catch {
            tool = .failure(error)
        }
        // Should the tool have ended before its input did, nobody reads any more.
        shutdown(target, Int32(SHUT_RDWR))
        let result = await fed.value()
        thread.join()
        _ = consume file
        _ = consume link
        let text = try tool.get().checked("cannot hash \(path)").text
        try result.get()
        return String(text.prefix(64))
    }

    /// Reads what counts of a file and sends it to the program that hashes.
    private struct Feeder {
        let source: Int32
        let target: Int32
        let path: String

        /// What is read at a time. Runs of pages end at its multiples.
        static let window = 256 << 10
        static let page = 4096
        /// Of `lseek`: the next offset from there with data.
        static let seekData: Int32 = 3

        init(_ source: Int32, _ target: Int32, _ path: String) {
            (self.source, self.target, self.path) = (source, target, path)
        }

        func run() -> Result<Void, SystemCallError> {
            defer { shutdown(target, Int32(SHUT_WR)) }
            do throws(SystemCallError) {
                try feed()
                return .success(())
            } catch {
                return .failure(error)
            }
        }

        private func feed() throws(SystemCallError) {
            var status = stat()
            try systemCall("fstat", path) { fstat(source, &status) }
            try send(Array("\(status.st_size)\n".utf8)[...])
            var buffer = [UInt8](repeating: 0, count: Self.window)
            var offset = 0
            while true {
                let next = Int(lseek(source, off_t(offset), Self.seekData))
                guard next >= 0 else {
                    if errno == ENXIO { return }
                    throw SystemCallError("lseek", path)
                }
                offset = next / Self.window * Self.window
                let count = try systemCall("pread", path) { pread(source, &buffer, Self.window, off_t(offset)) }
                if count == 0 { return }
                try sendRuns(buffer[..<count], at: offset)
                offset += Self.window
            }
        }

        /// The runs of pages that are not zeros in one window.
        private func sendRuns(_ window: ArraySlice<UInt8>, at offset: Int) throws(SystemCallError) {
            var start: Int?
            for page in stride(from: 0, to: window.count, by: Self.page) {
                let isZero = isZero(window[page..<min(page + Self.page, window.count)])
                if isZero, let first = start {
                    try sendRun(window[first..<page], at: offset + first)
                    start = nil
                } else if !isZero {
                    start = start ?? page
                }
            }
            if let first = start { try sendRun(window[first...], at: offset + first) }
        }

        private func sendRun(_ bytes: ArraySlice<UInt8>, at offset: Int) throws(SystemCallError) {
            try send(Array("\(offset) \(bytes.count)\n".utf8)[...])
            try send(bytes)
        }

        /// Whether all are zeros: the first is, and each is what the one before it is.
        private func isZero(_ bytes: ArraySlice<UInt8>) -> Bool {
            bytes.withUnsafeBytes { bytes in
                guard let start = bytes.baseAddress, bytes.count > 1 else { return bytes.allSatisfy { $0 == 0 } }
                return bytes[0] == 0 && memcmp(start, start + 1, bytes.count - 1) == 0
            }
        }

        private func send(_ bytes: ArraySlice<UInt8>) throws(SystemCallError) {
            var rest = bytes
            while !rest.isEmpty {
                let part = rest
                let count = try systemCall("send", path) {
                    part.withUnsafeBytes { Glibc.send(target, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
                }
                rest = rest.dropFirst(count)
            }
        }
    }
}
