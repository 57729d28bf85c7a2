import QMP

/// The machine as the QMP server controls it. All functions are called on the reactor's thread. The machine reports all its events
/// by `QMPServer.emit`, including those caused by commands here.
protocol ControlledMachine: AnyObject, Sendable {
    var name: String { get }
    var status: RunState { get }
    /// The host thread id of each vCPU, in order.
    var threadIDs: [Int32] { get }

    /// Pauses the vCPUs. Completes when none runs; succeeds when they are already paused.
    func stop(_ completion: @escaping ControlCompletion)
    /// Resumes the vCPUs. Succeeds when they already run; fails after an error that the guest cannot survive.
    func resume(_ completion: @escaping ControlCompletion)
    /// Resets the machine and runs it.
    func reset(_ completion: @escaping ControlCompletion)
    /// Saves a snapshot under this path, from which other machines can be restored. The vCPUs are paused meanwhile and resume if
    /// they ran, unless the snapshot now owns their memory.
    func saveSnapshot(_ path: String, _ completion: @escaping ControlCompletion)
    /// Sets the action after the guest powers itself off.
    func setShutdownAction(_ action: ShutdownAction)
    /// Presses the power button; the guest decides how to react.
    func powerButton()
    /// Ends the machine soon, after the answer was sent; the process exits with status 0.
    func quit()
}

/// Called once, on the reactor's thread, when a command is done, at once or later. A failure is sent to the client.
typealias ControlCompletion = @Sendable (Result<Void, QMPRefusal>) -> Void
