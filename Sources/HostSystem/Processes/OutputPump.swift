import Glibc
import Synchronization

/// Reads a child's output from a pipe, on the event loop's thread.
final class OutputPump: Sendable {
    private let descriptor: Mutex<OwnedDescriptor>
    private let receive: @Sendable ([UInt8]) -> Void
    private let readiness = Mutex<Readiness?>(nil)

    init(_ descriptor: consuming OwnedDescriptor, _ receive: @escaping @Sendable ([UInt8]) -> Void)
        throws(SystemCallError)
    {
        try descriptor.setNonBlocking()
        self.receive = receive
        let number = descriptor.number
        self.descriptor = Mutex(descriptor)
        // Under the lock that `close` takes: output and its end may arrive before this returns.
        try readiness.withLock { (readiness: inout Readiness?) throws(SystemCallError) in
            readiness = try Readiness(of: number) { [weak self] in self?.pump() }
        }
    }

    /// Delivers pending output; closes at end of stream. On the loop's thread only, so calls never overlap.
    func pump() {
        let chunk = 64 * 1024
        // A child with endless output must not monopolize the loop: 1 MiB per turn.
        for _ in 0..<16 {
            let result = descriptor.withLock { descriptor in
                Result { () throws(SystemCallError) in descriptor.isOpen ? try descriptor.read(upTo: chunk) : [] }
            }
            switch result {
            case .success(let bytes) where !bytes.isEmpty:
                receive(bytes)
                if bytes.count < chunk { return }
            case .failure(let error) where error.errno == EAGAIN: return
            case .success, .failure: return close()
            }
        }
    }

    /// Delivers the rest of the pipe and closes it: the child is gone, but its own children may hold the pipe open.
    func finish() {
        pump()
        close()
    }

    private func close() {
        readiness.withLock { $0.take() }?.end()
        descriptor.withLock { $0.close() }
    }
}

/// One of a child's output streams while the child starts: the descriptor it gets, and our end of the pipe if we read it.
struct OutputEnd: ~Copyable {
    let ring: ByteRing?
    private let receive: (@Sendable ([UInt8]) -> Void)?
    private var ours = OwnedDescriptor(owning: -1)
    private var childs = OwnedDescriptor(owning: -1)
    private let shared: Int32

    init(_ output: ChildConfiguration.Output, null: Int32) throws(SystemCallError) {
        switch output {
        case .null: (ring, receive, shared) = (nil, nil, null)
        case .descriptor(let number): (ring, receive, shared) = (nil, nil, number)
        case .file(let path):
            (ring, receive, shared) = (nil, nil, -1)
            childs = try OwnedDescriptor.open(path, O_WRONLY | O_CREAT | O_APPEND)
        case .ring(let limit):
            let ring = ByteRing(limit: limit)
            (self.ring, receive, shared) = (ring, { ring.append($0) }, -1)
            try openPipe()
        case .receiver(let body):
            (ring, receive, shared) = (nil, body, -1)
            try openPipe()
        }
    }

    private mutating func openPipe() throws(SystemCallError) {
        var pipe = try DescriptorPair.pipe()
        swap(&ours, &pipe.first)
        swap(&childs, &pipe.second)
    }

    var number: Int32 { childs.isOpen ? childs.number : shared }

    /// Begins to read, once the child has started; nil when there is nothing to read.
    consuming func pump() throws(SystemCallError) -> OutputPump? {
        guard let receive else { return nil }
        var number = OwnedDescriptor(owning: -1)
        swap(&number, &ours)
        return try OutputPump(number, receive)
    }
}
