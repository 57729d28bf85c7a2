import Diagnostics
import GuestConsole
import HostSystem

/// Any failure in one line.
func sentence(of error: any Error) -> String {
    switch error {
    case let problem as Diagnostic: problem.message + (problem.cause.map { ": \($0)" } ?? "")
    case let list as DiagnosticList: list.all.map { sentence(of: $0) }.joined(separator: "; ")
    case let failure as SystemCallError: sentence(of: failure.diagnostic("the host refused a system call"))
    case let failure as ConsoleError: sentence(of: failure.diagnostic)
    default: "\(error)"
    }
}

/// The same, with what to do about it where that is known.
func sentenceWithRemedy(of problem: Diagnostic) -> String {
    sentence(of: problem) + (problem.remedy.map { "; remedy: \($0)" } ?? "")
}

/// A duration as people write it: `90s`, `1.5s`, `5m`, `1h`.
public func inWords(_ duration: Duration) -> String {
    let seconds = duration / .seconds(1)
    for (unit, size) in [("h", 3600.0), ("m", 60.0)] where seconds >= size {
        if seconds.truncatingRemainder(dividingBy: size) == 0 { return "\(Int(seconds / size))\(unit)" }
    }
    return seconds == seconds.rounded() ? "\(Int(seconds))s" : "\((seconds * 10).rounded() / 10)s"
}

/// What is told of a run that cleans up before it ends; `isFirst` when the next Ctrl-C would be the first.
public func graceNote(_ what: String, _ grace: Duration, isFirst: Bool) -> String {
    "\(what) for up to \(inWords(grace)); press Ctrl-C \(isFirst ? "" : "again ")to stop now"
}
