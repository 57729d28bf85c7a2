import Synchronization

@testable import VirtualHardware

/// A device that writes back what it reads, on the thread that notifies it: for tests of queues and of the transport.
final class EchoDevice: VirtioDevice {
    let identifier: UInt32 = 0x2a
    let features = VirtioFeatures(rawValue: 0b101)
    let queueSizes: [UInt16]
    let configuration: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]

    private let driver = Mutex<VirtioDriver?>(nil)
    private let log = Mutex<[String]>([])

    init(queueSizes: [UInt16] = [16]) { self.queueSizes = queueSizes }

    /// What the transport has done with it.
    var events: [String] { log.withLock { $0 } }

    func activate(_ driver: VirtioDriver) {
        let queues = driver.queues.map { $0.map { "\($0.size)" } ?? "-" }
        log.withLock { $0.append("activate \(queues.joined(separator: " "))") }
        self.driver.withLock { $0 = driver }
    }

    func reset() {
        log.withLock { $0.append("reset") }
        driver.withLock { $0 = nil }
    }

    func notify(queue number: Int) {
        driver.withLock { driver in
            guard let driver, let queue = driver.queue(number) else { return }
            do throws(VirtqueueError) {
                repeat {
                    while let chain = try queue.next() {
                        var bytes = [UInt8](repeating: 0, count: chain.readable.count)
                        let written = bytes.withUnsafeMutableBytes {
                            chain.readable.copy(to: $0)
                            return chain.writable.copy(from: UnsafeRawBufferPointer($0))
                        }
                        queue.complete(chain.head, written: written)
                    }
                    driver.publish(queue)
                } while queue.enableNotifications()
            } catch {
                driver.publish(queue)
                driver.signals.fail(error)
            }
        }
    }
}
