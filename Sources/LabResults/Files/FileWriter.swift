import Diagnostics
import Glibc
import HostSystem

/// Buffered writing to a file or a descriptor. After the first failure, which is kept, all is dropped: a full disk must not end a
/// run.
struct FileWriter: ~Copyable {
    /// Where the bytes go.
    enum Target {
        /// A file, created with its folders at the first write.
        case file(String, append: Bool)
        /// The same, below a folder that no path leaves.
        case beneath(HostFolder, RelativePath, append: Bool)
        /// A borrowed descriptor.
        case descriptor(Int32)
    }

    private let target: Target
    /// The file, once it is open.
    private var file = OwnedDescriptor(owning: -1)
    private var buffer: [UInt8] = []
    private var isClosed = false
    private let capacity: Int
    /// Why bytes were lost, if any were.
    private(set) var error: SystemCallError?

    init(_ target: Target, capacity: Int = 64 * 1024) {
        self.target = target
        self.capacity = capacity
    }

    /// Takes bytes; they are written out when the buffer is full or at `flush`.
    mutating func append(_ bytes: some Sequence<UInt8>) {
        guard error == nil, !isClosed else { return }
        buffer.append(contentsOf: bytes)
        if buffer.count >= capacity { flush() }
    }

    /// Flushes the buffer; creates the file even if it is empty.
    mutating func flush() {
        guard error == nil, !isClosed else { return }
        do throws(SystemCallError) {
            try writeAll(try descriptor(), buffer[...])
            buffer.removeAll(keepingCapacity: true)
        } catch {
            fail(error)
        }
    }

    /// Flushes the buffer and closes. Later bytes are dropped.
    mutating func close() {
        flush()
        isClosed = true
        buffer = []
        do throws(SystemCallError) { try file.finish() } catch { fail(error) }
    }

    /// Likewise, but throws when bytes were lost for any reason; a second call throws the same.
    mutating func finish() throws(Diagnostic) {
        close()
        if let failure { throw failure }
    }

    /// Atomically replaces a file with what `body` puts piece by piece: a reader sees the old or the new content.
    static func replace(_ path: String, _ body: (_ put: ([UInt8]) -> Void) -> Void) throws(Diagnostic) {
        try onDisk("cannot write \(path)") { () throws(SystemCallError) in
            try FileTree.replace(path) { (draft) throws(SystemCallError) in
                var writer = FileWriter(.file(draft, append: false))
                body { writer.append($0) }
                writer.close()
                if let error = writer.error { throw error }
            }
        }
    }

    /// The descriptor to write to; a file is opened first.
    private mutating func descriptor() throws(SystemCallError) -> Int32 {
        if file.isOpen { return file.number }
        switch target {
        case .descriptor(let given): return given
        case .file(let path, let append):
            let flags = Self.flags(append)
            do throws(SystemCallError) {
                file = try OwnedDescriptor.open(path, flags, mode: 0o666)
            } catch {
                guard error.errno == ENOENT else { throw error }
                try FileTree.makeFolder(FilePath.folder(of: path), mode: 0o777)
                file = try OwnedDescriptor.open(path, flags, mode: 0o666)
            }
        case .beneath(let root, let path, let append):
            file = try root.makeFolder(path.parent).open(path.last, Self.flags(append))
        }
        return file.number
    }

    private static func flags(_ append: Bool) -> Int32 { O_WRONLY | O_CREAT | (append ? O_APPEND : O_TRUNC) }

    private mutating func fail(_ error: SystemCallError) {
        buffer = []
        // A reader that closed the pipe (`vmlab run … | head -1`) is no error, as with other tools.
        if case .descriptor = target, error.errno == EPIPE { isClosed = true } else { self.error = self.error ?? error }
    }

    /// The error as a user reads it; nil when no bytes were lost.
    var failure: Diagnostic? {
        guard let error else { return nil }
        switch target {
        case .beneath(let root, let path, _): return error.ofResults("cannot write \(root.subject(path))")
        case .file(let path, _): return error.ofResults("cannot write \(path)")
        case .descriptor(let number):
            let name = number == 1 ? "standard output" : number == 2 ? "standard error" : "descriptor \(number)"
            return Diagnostic(.host, "cannot write to \(name)", cause: error.reason)
        }
    }
}
