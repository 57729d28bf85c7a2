import LabResults

/// What became of a guest whose command was to end.
enum Recovery {
    /// The command is gone, and all that it had started; the rest of the guest is as it was.
    case atPrompt
    /// The guest is another one, as it was at its ready point.
    case madeAnew
    /// It cannot be used any more, or the run ends anyway.
    case lost
}

extension LiveGuest {
    /// How long a command may take to go, before the limits' factor.
    static let grace = Duration.seconds(10)

    /// Ends the command that runs, `what` in messages: asks it to go, then kills all that it has started. A guest that does not
    /// come back to its prompt even so is made anew, which costs those who come after it what was in it, but not the guest.
    @discardableResult
    func endCommand(_ what: String) async -> Recovery {
        guard loss == nil, !Task.isCancelled else { return .lost }
        let grace = Self.grace * limits.factor
        let isBack = try? await session.whileAlive { [session] in await session.commands.interrupt(grace: grace) }
        if isBack == true { return .atPrompt }
        guard loss == nil, !Task.isCancelled else { return .lost }
        life.host.recorder.emit(
            .note(
                level: .warning,
                message: "\(name) is made anew, as \(what) could not be ended: what its tasks had left in it is gone"))
        do {
            try await renew()
            return .madeAnew
        } catch {
            return .lost
        }
    }
}
