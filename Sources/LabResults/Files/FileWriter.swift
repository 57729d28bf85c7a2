import Diagnostics
import Glibc
import HostSystem

/// Buffered writing to a file or a descriptor. The first failure is kept and everything after it is dropped: a full
/// disk must not end a run.
struct FileWriter: ~Copyable {
    /// Where the bytes go.
    enum Target {
        /// A file, made with its folders when the first bytes are written out.
        case file(String, append: Bool)
        /// The same, beneath a folder that is never left.
        case beneath(HostFolder, RelativePath, append: Bool)
        /// A descriptor that somebody else closes.
        case descriptor(Int32)
    }

    private let target: Target
    private var descriptor: Int32 = -1
    private var buffer: [UInt8] = []
    private var isClosed = false
    private let capacity: Int
    /// Why bytes were lost, if any were.
    private(set) var failure: Diagnostic?

    init(_ target: Target, capacity: Int = 64 * 1024) {
        self.target = target
        self.capacity = capacity
    }

    /// Takes bytes; they are written out when the buffer is full or at `flush`.
    mutating func append(_ bytes: some Sequence<UInt8>) {
        guard failure == nil, !isClosed else { return }
        buffer.append(contentsOf: bytes)
        if buffer.count >= capacity { flush() }
    }

    /// Writes out what is buffered; makes the file even if that is nothing.
    mutating func flush() {
        guard failure == nil, !isClosed, open() else { return }
        guard !buffer.isEmpty else { return }
        if let code = System.write(buffer, to: descriptor) { fail(code) }
        buffer.removeAll(keepingCapacity: true)
    }

    /// Writes out what is buffered and closes. Later bytes are dropped.
    mutating func close() {
        flush()
        guard !isClosed else { return }
        isClosed = true
        buffer = []
        // Network file systems report a lost write only here.
        if ownsDescriptor, descriptor >= 0 {
            if Glibc.close(descriptor) != 0, errno != EINTR { fail(errno) }
            descriptor = -1
        }
    }

    deinit {
        if ownsDescriptor, descriptor >= 0 { _ = Glibc.close(descriptor) }
    }

    private var ownsDescriptor: Bool {
        if case .descriptor = target { false } else { true }
    }

    private mutating func open() -> Bool {
        guard descriptor < 0 else { return true }
        switch target {
        case .descriptor(let given):
            descriptor = given
        case .file(let path, let append):
            let flags = O_WRONLY | O_CREAT | O_CLOEXEC | (append ? O_APPEND : O_TRUNC)
            descriptor = Glibc.open(path, flags, 0o666)
            if descriptor < 0, errno == ENOENT {
                if let error = System.makeFolders(System.parent(of: path)) {
                    failure = error
                    return false
                }
                descriptor = Glibc.open(path, flags, 0o666)
            }
            if descriptor < 0 { fail(errno) }
        case .beneath(let root, let path, let append):
            let flags = O_WRONLY | O_CREAT | (append ? O_APPEND : O_TRUNC)
            do throws(SystemCallError) {
                descriptor = try root.makeFolder(path.parent).open(path.last, flags).release()
            } catch {
                fail(error.errno)
            }
        }
        return descriptor >= 0
    }

    private mutating func fail(_ code: Int32) {
        guard failure == nil else { return }
        switch target {
        case .beneath(let root, let path, _):
            failure = System.diagnostic("cannot write \(root.path)/\(path)", code)
        case .file(let path, _): failure = System.diagnostic("cannot write \(path)", code)
        // A reader that has seen enough (`vmlab run … | head -1`) is no failure, as with other tools.
        case .descriptor where code == EPIPE: isClosed = true
        case .descriptor(let number):
            let name = number == 1 ? "standard output" : number == 2 ? "standard error" : "descriptor \(number)"
            failure = Diagnostic(.host, "cannot write to \(name)", cause: String(cString: strerror(code)))
        }
        buffer = []
    }
}
