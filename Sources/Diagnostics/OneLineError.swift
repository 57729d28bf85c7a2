/// An error that says itself in one line, for logs and notes.
public protocol OneLineError: Error {
    /// What went wrong; without a remedy.
    var line: String { get }
}

extension Diagnostic: OneLineError {}
extension DiagnosticList: OneLineError {}

/// Any error in one line.
public func sentence(of error: any Error) -> String { (error as? any OneLineError)?.line ?? "\(error)" }
