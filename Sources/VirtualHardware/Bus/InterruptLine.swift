import HostSystem

/// A device's edge-triggered interrupt line. With KVM it is an eventfd registered as an irqfd; in tests it counts.
package protocol InterruptLine: AnyObject, Sendable {
    /// One rising edge. May be called on any thread; never blocks.
    func signal()
}

extension EventDescriptor: InterruptLine {}
