import Diagnostics
import GuestConsole
import HostSystem
import Quantities

/// Any failure in one line.
package func sentence(of error: any Error) -> String {
    switch error {
    case let problem as Diagnostic: problem.line
    case let list as DiagnosticList: list.line
    case let failure as SystemCallError: sentence(of: failure.diagnostic("the host refused a system call"))
    case let failure as ConsoleError: sentence(of: failure.diagnostic)
    default: "\(error)"
    }
}

/// What is told of a run that cleans up before it ends; `isFirst` when the next Ctrl-C would be the first.
public func graceNote(_ what: String, _ grace: Duration, isFirst: Bool) -> String {
    "\(what) for up to \(grace.notation); press Ctrl-C \(isFirst ? "" : "again ")to stop now"
}
