import Diagnostics
import GuestConsole
import LabSpec
import Synchronization

/// What is a clone's own besides its identity.
extension GuestSession {
    /// Learns what clones of this guest need, before it is saved. `forgetting` is for a golden, which itself needs none of it any
    /// more. Nil for guests that have no such things. Throws as `becomeReady`.
    func learnNeeds(forgetting: Bool, deadline: ContinuousClock.Instant) async throws -> CloneNeeds? {
        guard guest.os == .linux else { return nil }
        let failure = "the guest could not be made ready for clones"
        do {
            let (_, said) = try await control(GuestCommand(CloneNeeds.learning()), deadline)
            var needs = CloneNeeds(said)
            if forgetting {
                for script in [needs.warming, needs.forgetting()].compactMap(\.self) {
                    try await setUp(script, deadline, failure: failure)
                }
                needs.isForgotten = true
            }
            return needs
        } catch let error as ConsoleError where !Task.isCancelled && forgetting {
            throw lose("\(failure): \(sentence(of: error))")
        }
    }

    /// Gives a clone what it needs of its own. Throws as `becomeReady`.
    func renew(_ needs: CloneNeeds, deadline: ContinuousClock.Instant) async throws {
        if !needs.isForgotten, let script = needs.forgetting() {
            try await setUp(script, deadline, failure: "the guest could not forget whose clone it is")
        }
        guard let line = needs.making() else { return }
        let (status, said) = try await control(GuestCommand(line, inSession: true), deadline)
        if status != 0 {
            throw lose("the guest could not be given SSH host keys of its own: \(said)", isGuestsDoing: true)
        }
        log.debug("has SSH host keys of its own")
    }

    /// Runs the hooks of a clone: those that its system brings, at these paths, then the image's. Throws a `GuestLoss` that says
    /// so when one fails, and as `becomeReady`.
    func runHooks(of image: BootableImage, carried: [String], deadline: ContinuousClock.Instant) async throws {
        let hooks =
            carried.map { (name: $0, script: "'\($0.replacing("'", with: #"'\''"#))'") }
            + image.onClone.map { (name: "on-clone", script: $0) }
        for hook in hooks {
            let said = Mutex<[UInt8]>([])
            let ending: String
            do {
                let command = GuestCommand(
                    hook.script, shell: .standard, name: "on-clone", environment: [("VMLAB_GUEST", guest.guest.name)])
                let result = try await whileAlive { [commands] in
                    try await commands.run(command, deadline: deadline) { bytes in
                        // The end of it is shown.
                        said.withLock { $0 = ($0 + bytes).suffix(1 << 16) }
                    }
                }
                log.debug("hook ended", metadata: ["hook": "\(hook.name)", "exit": "\(result.exit)"])
                guard result.exit != 0 else { continue }
                ending = "failed with status \(result.exit)"
            } catch let error as ConsoleError where !Task.isCancelled {
                if case .deadline = error {
                    ending = "did not end before the guest's boot deadline"
                } else {
                    ending = "had no end: \(sentence(of: error))"
                }
            }
            let lines = String(decoding: said.withLock { $0 }, as: UTF8.self).split(whereSeparator: \.isNewline)
            var lost = GuestLoss(
                outcome: .error,
                message: "its commands for clones (\(hook.name)) \(ending)" + (lines.last.map { ": \($0)" } ?? ""),
                consoleTail: lines.suffix(12).map(String.init), isGuestsDoing: true)
            lost.isHooksDoing = true
            loss.fulfil(lost)
            throw loss.current ?? lost
        }
    }
}
