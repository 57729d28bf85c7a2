import Diagnostics

/// Stands in for the integrator's `run` until the machine is there; to be deleted then.
public func run(_ configuration: VMConfiguration) throws -> ExitStatus {
    throw Diagnostic(.host, "this build has no machine")
}
