import Diagnostics
import GuestConsole
import HostResources
import HostSystem
import LabResults
import Patterns

/// The outcome that an error gives to a task, script or step. Shared by YAML tasks, scripts and verbs, so that equal failures have
/// equal outcomes.
package struct Verdict: Error, Sendable, Hashable, CustomStringConvertible {
    package var outcome: Outcome
    /// What happened, one line of at most about 4000 bytes.
    package let message: String
    /// The last console lines of the guest at fault.
    package var consoleTail: [String]
    /// The state of the task's guest after the error.
    package var guest: Recovery

    /// Errors raised by scripts may have any length.
    private static let longest = 4000

    /// A verdict as given; line breaks in the message are removed.
    package init(_ outcome: Outcome, _ message: String, consoleTail: [String] = [], guest: Recovery = .atPrompt) {
        let isCut = message.utf8.count > Self.longest
        let head = isCut ? String(decoding: message.utf8.prefix(Self.longest), as: UTF8.self) + "…" : message
        self.outcome = outcome
        self.message = head.split(separator: "\n").joined(separator: "; ")
        self.consoleTail = consoleTail
        self.guest = guest
    }

    /// The verdict of any error: its own if it is `Judged`, else an infrastructure error.
    package init(of error: any Error) {
        self = (error as? any Judged)?.verdict ?? Verdict(.error, "\(error)", guest: .lost)
    }

    package var description: String { message }
}

/// An error that determines the outcome of its task.
package protocol Judged: Error {
    var verdict: Verdict { get }
}

/// The state of a guest after its command was ended.
package enum Recovery: Sendable, Hashable {
    /// The command and all its processes are gone; the rest of the guest is unchanged.
    case atPrompt
    /// The guest was reset to its ready point.
    case madeAnew
    /// It is unusable, or the run ends anyway.
    case lost
}

extension Verdict: Judged {
    package var verdict: Verdict { self }
}

extension GuestLoss: Judged {
    package var verdict: Verdict { Verdict(outcome, message, consoleTail: consoleTail, guest: .lost) }
}

extension GuestTimeout: Judged {
    package var verdict: Verdict { Verdict(.timeout, description, guest: recovery) }
}

extension InteractionEnded: Judged {
    package var verdict: Verdict { Verdict(.failed, description) }
}

extension Diagnostic: Judged {
    /// A mistake in the specification is the task's own failure; anything else is an error.
    package var verdict: Verdict { Verdict(category == .specification ? .failed : .error, lineWithRemedy) }
}

extension DiagnosticList: Judged {
    /// Several mistakes; the message names the first ones.
    package var verdict: Verdict {
        Verdict(all.allSatisfy { $0.category == .specification } ? .failed : .error, line)
    }
}

extension PatternFailure: Judged {
    /// Output that could not be judged is an error, not a failure.
    package var verdict: Verdict {
        switch self {
        case .tooSlow: Verdict(.timeout, description)
        case .tooLarge: Verdict(.error, description)
        case .stopped: Verdict(.skipped, description)
        }
    }
}

extension ConsoleError: Judged {
    /// The guest's console failed, the guest refused the command, or the wait was cancelled.
    package var verdict: Verdict {
        switch self {
        case .cancelled: CancellationError().verdict
        // The task asks for what its guest does not have.
        case .refused: Verdict(.failed, diagnostic.lineWithRemedy)
        default: Verdict(.error, diagnostic.line, guest: .lost)
        }
    }
}

extension SystemCallError: Judged {
    package var verdict: Verdict { Verdict(.error, sentence(of: self), guest: .lost) }
}

extension DeadlineExceeded: Judged {
    package var verdict: Verdict { Verdict(.timeout, "its time was up") }
}

extension CancellationError: Judged {
    package var verdict: Verdict { Verdict(.skipped, "interrupted", guest: .lost) }
}
