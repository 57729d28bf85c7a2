import CLinux
import HostSystem
import Synchronization

/// A source of random bytes (virtio 1.2, 5.4): the host kernel's.
package final class EntropyDevice: VirtioDevice {
    package let identifier: UInt32 = 4
    package let queueSizes: [UInt16] = [64]
    package let features: VirtioFeatures = []
    package let configuration: [UInt8] = []

    /// Bytes that one request gets, however many it has room for.
    static let most = 64 * 1024
    /// Requests in one go, so that other devices get their turn.
    private static let round = 8

    private let reactor: Reactor
    private let driver = Mutex<VirtioDriver?>(nil)

    /// A device that serves requests on the thread that notifies, and what is too much for one go on the reactor's.
    package init(reactor: Reactor) { self.reactor = reactor }

    package func activate(_ driver: VirtioDriver) {
        self.driver.withLock { $0 = driver }
        notify(queue: 0)
    }

    package func reset() { driver.withLock { $0 = nil } }

    /// Fills the buffers that wait, the first ones at once.
    package func notify(queue number: Int) {
        guard number == 0 else { return }
        let isMore = driver.withLock { driver -> Bool in
            guard let driver, let queue = driver.queue(0) else { return false }
            return driver.serve(queue, atMost: Self.round) { chain in
                queue.complete(chain.head, written: Self.fill(chain.writable.slice(0..<Self.most)))
            }
        }
        if isMore { reactor.perform { [weak self] in self?.notify(queue: 0) } }
    }

    /// Returns the number of random bytes, from the first on.
    private static func fill(_ target: GuestSegments) -> Int {
        var done = 0
        for piece in target.pieces {
            var start = 0
            while start < piece.iov_len {
                // More than 256 bytes may be cut short by a signal.
                let count = try? systemCall("getrandom") { getrandom(piece.iov_base + start, piece.iov_len - start, 0) }
                guard let count else { return done }
                start += count
                done += count
            }
        }
        return done
    }
}
