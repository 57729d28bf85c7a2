/// A device with registers that are reset and saved with the machine. Called on one thread while the vCPUs are paused.
package protocol StatefulDevice: AnyObject, Sendable {
    /// What it is, and the version of its state's form, such as `uart16550/1`.
    var stateForm: String { get }

    /// Back to power-on.
    func reset()

    /// Stops its accesses to guest memory until `resume`; none is under way on return.
    func pause()

    func resume()

    /// Saves its state, between `pause` and `resume`. Throws when that is not all that a guest could rely on.
    func save(to encoder: inout StateEncoder) throws(StateError)

    /// Restores the state of another device of this form, whose memory the guest has already; raises again interrupts that may not
    /// have been delivered. Throws for any invalid bytes; the device is unusable then until a reset.
    func restore(from decoder: inout StateDecoder) throws(StateError)
}

extension StatefulDevice {
    /// Most devices never touch guest memory.
    package func pause() {}
    package func resume() {}
}
