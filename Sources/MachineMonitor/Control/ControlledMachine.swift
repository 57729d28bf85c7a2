import QMP

/// A machine as its monitor drives it. Everything is called on the reactor's thread.
///
/// The machine tells of what happens to it by `QMPServer.emit`, whoever caused it: also of what a command here did.
protocol ControlledMachine: AnyObject, Sendable {
    var name: String { get }
    var status: RunState { get }
    /// The host's thread of each vCPU, in order.
    var threadIDs: [Int32] { get }

    /// Holds the processors. Done when none runs any more; a success when they are held already.
    func stop(_ completion: @escaping ControlCompletion)
    /// Lets the processors run. A success when they do already; a failure after an error that the guest cannot survive.
    func resume(_ completion: @escaping ControlCompletion)
    /// Back to power-on, and on.
    func reset(_ completion: @escaping ControlCompletion)
    /// Writes the machine down under this path, for other machines to go on from. The processors are held meanwhile and go on
    /// if they ran, unless the snapshot has their memory itself.
    func saveSnapshot(_ path: String, _ completion: @escaping ControlCompletion)
    /// Says what becomes of the machine when its guest powers itself off.
    func setShutdownAction(_ action: ShutdownAction)
    /// Presses the power button. What the guest makes of it is the guest's affair.
    func powerButton()
    /// Ends the machine soon. The answer to the client is sent first; the process ends with status 0.
    func quit()
}

/// Called once, on the reactor's thread, when a command's work is done; at once or later. A failure is told to the client.
typealias ControlCompletion = @Sendable (Result<Void, QMPRefusal>) -> Void
