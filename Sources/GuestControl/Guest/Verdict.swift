import Diagnostics
import GuestConsole
import HostResources
import HostSystem
import LabResults
import Patterns

/// What an error makes of the task, the script or the step that it ends.
///
/// Tasks in YAML, scripts and verbs ask the same question, so that one failure has one outcome, however it was come by.
package struct Verdict: Error, Sendable, Hashable, CustomStringConvertible {
    /// The outcome.
    package var outcome: Outcome
    /// What happened, one line of at most some 4000 bytes.
    package let message: String
    /// The last console lines of the guest to blame.
    package var consoleTail: [String]
    /// What became of the guest that the task ran on.
    package var guest: Recovery

    /// What a script raises may be of any length.
    private static let longest = 4000

    /// A verdict as given; the lines of the message become one.
    package init(_ outcome: Outcome, _ message: String, consoleTail: [String] = [], guest: Recovery = .atPrompt) {
        let isCut = message.utf8.count > Self.longest
        let head = isCut ? String(decoding: message.utf8.prefix(Self.longest), as: UTF8.self) + "…" : message
        self.outcome = outcome
        self.message = head.split(separator: "\n").joined(separator: "; ")
        self.consoleTail = consoleTail
        self.guest = guest
    }

    /// The verdict of any error: its own where it has one, else that something failed of which no task is the reason.
    package init(of error: any Error) {
        self = (error as? any Judged)?.verdict ?? Verdict(.error, "\(error)", guest: .lost)
    }

    package var description: String { message }
}

/// An error that knows what it makes of the task that it ends.
package protocol Judged: Error {
    var verdict: Verdict { get }
}

/// What became of a guest whose command was to end.
package enum Recovery: Sendable, Hashable {
    /// The command is gone, and all that it had started; the rest of the guest is as it was.
    case atPrompt
    /// The guest is another one, as it was at its ready point.
    case madeAnew
    /// It cannot be used any more, or the run ends anyway.
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
    /// A mistake is the task's own failure; whatever else went wrong is not.
    package var verdict: Verdict { Verdict(category == .specification ? .failed : .error, lineWithRemedy) }
}

extension DiagnosticList: Judged {
    /// That of several mistakes, the first of which are named.
    package var verdict: Verdict {
        Verdict(all.allSatisfy { $0.category == .specification } ? .failed : .error, line)
    }
}

extension PatternFailure: Judged {
    /// A task whose output could not be judged has not failed.
    package var verdict: Verdict {
        switch self {
        case .tooSlow: Verdict(.timeout, description)
        case .tooLarge: Verdict(.error, description)
        case .stopped: Verdict(.skipped, description)
        }
    }
}

extension ConsoleError: Judged {
    /// The guest's console failed, or nobody waits for it any more.
    package var verdict: Verdict {
        self == .cancelled ? CancellationError().verdict : Verdict(.error, diagnostic.line, guest: .lost)
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
