import Diagnostics

/// Why a wait on a guest's console failed.
public enum ConsoleError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The deadline passed. The command may still run: `interrupt` it, or give the guest up.
    case deadline
    /// The guest was silent for longer than the silence watchdog allows. The command may still run.
    case silence
    /// The calling task was cancelled. The command may still run.
    case cancelled
    /// The channel ended: the guest's machine is gone.
    case channelClosed
    /// The guest announced itself again: it rebooted, or its shell was restarted. `open` the session again.
    case greetedAgain
    /// The shell was replaced so that the command has its own. `CommandSession.run` opens the new one.
    case renewed
    /// A command is running, or an abandoned one was not yet ended by `interrupt`.
    case busy
    /// The guest's shell does not come up, for the reason that its console shows.
    case bootTrouble(BootTrouble)
    /// No shell can be given this command; in words.
    case invalidCommand(String)
    /// The guest cannot run the command as asked; none of it has run.
    case refused(CommandRefusal)
    /// The guest's dialect has no way to do this; in words.
    case unsupported(String)
    /// The guest answered what the dialect does not allow; in words.
    case protocolViolation(String)

    /// What happened, in a sentence.
    public var description: String { diagnostic.message }

    /// The same for people, with a remedy.
    public var diagnostic: Diagnostic {
        switch self {
        case .deadline:
            Diagnostic(
                .guest, "the guest did not answer before the deadline",
                remedy: "raise the timeout, or look at the guest's console log for what it was doing")
        case .silence:
            Diagnostic(
                .guest, "the guest printed nothing for longer than the silence limit",
                remedy: "raise `timeouts: silence:`, or let the command print its progress")
        case .cancelled:
            Diagnostic(.guest, "the command was cancelled")
        case .channelClosed:
            Diagnostic(
                .guest, "the guest's command channel closed",
                remedy: "look at the guest's console log: its machine ended or was ended")
        case .greetedAgain:
            Diagnostic(
                .guest, "the guest rebooted or its shell was restarted",
                remedy: "declare `reboot: true` on a task that reboots its guest")
        case .renewed: Diagnostic(.guest, "the guest's shell was replaced")
        case .busy:
            Diagnostic(
                .guest, "the guest's shell is still busy with an earlier command",
                remedy: "wait for that command, or give it a timeout")
        case .bootTrouble(let trouble): Diagnostic(.guest, trouble.sentence, remedy: trouble.remedy)
        case .invalidCommand(let what):
            Diagnostic(.specification, what, remedy: "change the task")
        case .refused(let refusal): Diagnostic(.guest, refusal.words.message, remedy: refusal.words.remedy)
        case .unsupported(let what):
            Diagnostic(.guest, what, remedy: "use another image or console dialect for this task")
        case .protocolViolation(let what):
            Diagnostic(
                .guest, what,
                remedy: "check the image's `console:`; the recording of the command channel shows what it sent"
            )
        }
    }
}

extension ConsoleError: OneLineError {
    /// What happened.
    public var line: String { diagnostic.line }
}
