import CLinux
import Glibc
import Synchronization

/// A source of random bytes (virtio 1.2, 5.4), the host's.
public final class EntropyDevice: VirtioDevice {
    /// The most bytes of one request: a guest does not size our work.
    public static let requestLimit = 64 << 10

    private struct Active {
        var queue: Virtqueue
        let interrupt: VirtioInterrupt
    }

    private let active = Mutex<Active?>(nil)

    public init() {}

    public let kind: UInt32 = 4
    public let features: UInt64 = 0
    public let queueSizes: [UInt16] = [64]
    public let configuration: [UInt8] = []

    public func activate(_ queues: [Virtqueue?], features: UInt64, interrupt: VirtioInterrupt) {
        active.withLock { $0 = queues.first.flatMap { $0 }.map { Active(queue: $0, interrupt: interrupt) } }
    }

    public func reset() { active.withLock { $0 = nil } }

    public func notify(queue: Int) {
        active.withLock { active in
            guard var current = active else { return }
            do throws(VirtqueueError) {
                repeat {
                    while let chain = try current.queue.next() {
                        current.queue.finish(chain, written: UInt32(Self.fill(chain)))
                    }
                } while current.queue.enableDoorbell()
                current.interrupt.signal(for: &current.queue)
                active = current
            } catch {
                current.interrupt.fail()
                active = nil
            }
        }
    }

    private static func fill(_ chain: DescriptorChain) -> Int {
        var written = 0
        for buffer in chain.writable {
            var done = 0
            let count = min(buffer.count, requestLimit - written)
            while done < count, let base = buffer.baseAddress {
                // At most 256 bytes at a time are never interrupted.
                let got = getrandom(base + done, min(count - done, 256), 0)
                guard got > 0 else { return written + done }
                done += got
            }
            written += done
        }
        return written
    }
}
