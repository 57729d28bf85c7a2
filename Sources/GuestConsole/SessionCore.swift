import HostSystem
import Synchronization

/// Runs a `SessionState`: its lock, the one waiting task and its timer, and the two tasks on the channel.
final class SessionCore: Sendable {
    /// Bytes on their way to the guest, for the shell of one generation.
    struct Typing: Sendable {
        var bytes: [UInt8]
        var generation: Int
    }

    private struct Guarded {
        var state: SessionState
        /// The number of the current wait; results of earlier ones are dropped.
        var number = 0
        var ending: SessionState.Ending?
        var waiter: CheckedContinuation<SessionState.Ending, Never>?
        /// When anything was last received from or sent to the guest.
        var lastReceived = HostClock.now
        /// When the guest last made progress towards the shell, or was found stalled.
        var lastStep = HostClock.now
        /// Incremented when the shell is replaced: input queued for the old one is dropped.
        var generation = 0
        /// Recognizes a copy in progress in the guest's output; nil while there is none.
        var copy: CopyText?

        /// Stores how the current wait ended; the caller resumes the returned task.
        mutating func end(with ending: SessionState.Ending) -> CheckedContinuation<SessionState.Ending, Never>? {
            self.ending = ending
            defer { waiter = nil }
            return waiter
        }
    }

    private let guarded: Mutex<Guarded>
    private let channel: any ByteChannel
    private let typing: AsyncStream<Typing>.Continuation

    init(dialect: Dialect, channel: any ByteChannel, typing: AsyncStream<Typing>.Continuation) {
        guarded = Mutex(Guarded(state: SessionState(dialect: dialect)))
        self.channel = channel
        self.typing = typing
    }

    // MARK: The waiting task

    /// Begins a wait, types `text`, and returns how the wait ended: by the guest, the deadline, silence or cancellation. A guest
    /// without progress towards the shell for `patience` has stalled.
    func wait(
        typing text: [UInt8] = [], deadline: ContinuousClock.Instant, silence: Duration? = nil,
        patience: Duration? = nil,
        _ begin: (inout SessionState) -> SessionState.Actions
    ) async throws(ConsoleError) -> SessionState.Answer {
        if Task.isCancelled { throw .cancelled }
        if deadline <= HostClock.now { throw .deadline }
        let (number, search) = guarded.withLock { guarded in
            guarded.number += 1
            guarded.lastReceived = HostClock.now
            guarded.lastStep = HostClock.now
            let actions = begin(&guarded.state)
            guarded.ending = actions.ending
            if actions.ending == nil {
                for keys in actions.typing + [text] where !keys.isEmpty {
                    typing.yield(Typing(bytes: keys, generation: guarded.generation))
                }
            }
            return (guarded.number, actions.search)
        }
        if let search { perform(search, during: number) }
        let timer = Task { await self.watch(number, deadline: deadline, silence: silence, patience: patience) }
        defer { timer.cancel() }
        let ending = await withTaskCancellationHandler {
            await withCheckedContinuation { waiter in
                let ending = guarded.withLock { guarded in
                    if guarded.ending == nil { guarded.waiter = waiter }
                    return guarded.ending
                }
                if let ending { waiter.resume(returning: ending) }
            }
        } onCancel: {
            giveUp(number, .cancelled)
        }
        return try ending.get()
    }

    /// Sleeps until the earlier of deadline and silence limit, then ends the wait. Meanwhile handles a stalled guest.
    private func watch(
        _ number: Int, deadline: ContinuousClock.Instant, silence: Duration?, patience: Duration?
    ) async {
        while !Task.isCancelled {
            let (received, step) = guarded.withLock { ($0.lastReceived, $0.lastStep) }
            let quiet = silence.map { received + $0 } ?? deadline
            let stall = patience.map { step + $0 } ?? deadline
            let end = min(deadline, quiet)
            if end <= HostClock.now {
                giveUp(number, end == deadline ? .deadline : .silence)
                return
            }
            if stall <= HostClock.now {
                perform(during: number) { $0.stalled() }
                continue
            }
            try? await HostClock.sleep(until: min(end, stall))
        }
    }

    private func giveUp(_ number: Int, _ error: ConsoleError) {
        let waiter = guarded.withLock { guarded in
            guard guarded.number == number, guarded.ending == nil else {
                return nil as CheckedContinuation<SessionState.Ending, Never>?
            }
            guarded.state.giveUp()
            return guarded.end(with: .failure(error))
        }
        waiter?.resume(returning: .failure(error))
    }

    /// The variables to set after the waiting command has run; nil when none waits.
    var prewarmed: [(name: String, value: String)]? { guarded.withLock { $0.state.prewarmed } }

    var isBusy: Bool { guarded.withLock { $0.state.isBusy } }

    var isRenewing: Bool { guarded.withLock { $0.state.isRenewing } }

    var progress: String? { guarded.withLock { $0.state.progress } }

    /// Begins or ends a copy of files as Base64, which the transcript omits.
    func setCopying(_ isCopying: Bool) { guarded.withLock { $0.copy = isCopying ? CopyText() : nil } }

    /// Applies a change that is not caused by the guest.
    func update(_ change: (inout SessionState) -> Void) {
        guarded.withLock { change(&$0.state) }
    }

    func machineWasReset() { perform { $0.machineWasReset() } }

    func typeInput() { perform { $0.typeInput() } }

    // MARK: The channel's tasks

    func readAll(transcript: (@Sendable (ArraySlice<UInt8>) -> Void)?) async {
        do {
            while true {
                let bytes = try await channel.read()
                if bytes.isEmpty { break }
                transcript?(guarded.withLock { $0.copy?.receive(bytes[...])[...] } ?? bytes[...])
                // Output is passed on under the lock: none may arrive after its `run` has returned.
                perform { $0.receive(bytes[...]) }
            }
        } catch {}
        close(.channelClosed)
    }

    func writeAll(_ queue: AsyncStream<Typing>) async {
        // Small, so that little is typed to a replaced shell.
        let slice = 16 << 10
        do {
            for await item in queue {
                var rest = item.bytes[...]
                while !rest.isEmpty, guarded.withLock({ $0.generation == item.generation }) {
                    try await channel.write(Array(rest.prefix(slice)))
                    rest = rest.dropFirst(slice)
                }
            }
        } catch {
            close(.channelClosed)
        }
    }

    /// Closes the channel and ends the current wait.
    func close(_ error: ConsoleError) {
        perform { $0.close(error) }
        typing.finish()
        channel.close()
    }

    private func perform(_ search: SessionState.LoginSearch, during number: Int? = nil) {
        var search = search
        let step = search.run()
        perform(during: number) { $0.finish(search, step) }
    }

    /// Applies an event to the state and performs the resulting actions; an event of a wait only while that lasts.
    private func perform(during number: Int? = nil, _ event: (inout SessionState) -> SessionState.Actions) {
        typealias Ended = (
            waiter: CheckedContinuation<SessionState.Ending, Never>?, ending: SessionState.Ending?,
            search: SessionState.LoginSearch?
        )
        let (waiter, ending, search) = guarded.withLock { guarded -> Ended in
            if let number, guarded.number != number { return (nil, nil, nil) }
            let revision = guarded.state.revision
            // First: who is handed output may turn the clock.
            guarded.lastReceived = HostClock.now
            let actions = event(&guarded.state)
            if number != nil || guarded.state.revision != revision { guarded.lastStep = HostClock.now }
            if actions.dropsTyping { guarded.generation += 1 }
            for keys in actions.typing { typing.yield(Typing(bytes: keys, generation: guarded.generation)) }
            return (actions.ending.map { guarded.end(with: $0) } ?? nil, actions.ending, actions.search)
        }
        if let ending { waiter?.resume(returning: ending) }
        if let search { perform(search, during: number) }
    }
}
