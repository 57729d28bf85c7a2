/// A device whose registers are a part of the machine's state: a reset takes them back, a snapshot keeps them.
///
/// Everything is called on one thread while the guest's processors are held.
package protocol StatefulDevice: AnyObject, Sendable {
    /// What it is, and the version of its state's form, such as `uart16550/1`.
    var stateForm: String { get }

    /// Back to power-on.
    func reset()

    /// Lets go of guest memory; on return nothing of it is being changed, until `resume`.
    func pause()

    /// Goes on with what `pause` left.
    func resume()

    /// Writes its state down, between `pause` and `resume`. Throws why that is not all that a guest could rely on.
    func save(to encoder: inout StateEncoder) throws(StateError)

    /// Takes over the state of another device of this form, whose memory is the guest's by now, and goes on from there: an
    /// interrupt that may have been on its way is raised again.
    ///
    /// Throws what is wrong with the state, whatever the bytes are; the device is of no use then until a reset.
    func restore(from decoder: inout StateDecoder) throws(StateError)
}

extension StatefulDevice {
    /// Most devices never touch guest memory.
    package func pause() {}
    package func resume() {}
}
