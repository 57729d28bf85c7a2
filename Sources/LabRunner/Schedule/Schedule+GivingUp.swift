import LabResults

/// Runs that will never start, because their guests are lost or the run is being stopped.
extension Schedule {
    /// A guest is lost for good: runs that only it could take are given up.
    mutating func lose(guest: Int, reason: String) {
        lostGuests[guest] = reason
        changes += 1
        for number in tasksOfGuest[guest] { giveUpHopeless(of: number, lost: guest) }
        settle()
    }

    /// A guest is lost and replaced for runs that do not depend on its state: those of tasks that reset their guest, and `any`
    /// runs of tasks none of whose direct or indirect needs ran here. Other runs that only it could take are given up. False
    /// when nothing is left for a replacement.
    mutating func replace(guest: Int, reason: String) -> Bool {
        guard lostGuests[guest] == nil, stop == nil else { return false }
        for number in tasksOfGuest[guest] where !tasks[number].resets {
            guard tasks[number].pinned[guest] != nil || !needs(of: number).isDisjoint(with: held[guest]) else {
                continue
            }
            tasks[number].barred[guest] = reason
            giveUpHopeless(of: number, lost: guest)
        }
        held[guest] = []
        changes += 1
        settle()
        return tasksOfGuest[guest].contains { number in
            guard tasks[number].barred[guest] == nil else { return false }
            return tasks[number].pinned[guest]?.isEmpty == false
                || tasks[number].shared.contains { $0.guests.contains(guest) && !$0.runs.isEmpty }
        }
    }

    /// A task's direct and indirect needs.
    private func needs(of number: Int) -> Set<Int> {
        var all: Set<Int> = []
        var next = tasks[number].needs
        while let need = next.popLast() {
            if all.insert(need).inserted { next += tasks[need].needs }
        }
        return all
    }

    /// Why a guest can no longer take runs of a task; nil while it can.
    private func obstacle(to number: Int, on guest: Int) -> String? {
        lostGuests[guest] ?? tasks[number].barred[guest]
    }

    /// Hands out no further runs, except of tasks that always run, on these guests; all others that have not started are
    /// skipped. A second call can only remove guests.
    mutating func stop(reason: String, cleaningUpOn guests: Set<Int> = []) {
        let stop = Stop(reason: reason, guests: guests.intersection(self.stop?.guests ?? guests))
        self.stop = stop
        changes += 1
        for number in tasks.indices { giveUpStopped(of: number, stop) }
        settle()
    }

    mutating func giveUpStopped(of number: Int, _ stop: Stop) {
        guard tasks[number].always else { return giveUpAll(of: number, .skipped, stop.reason) }
        for guest in tasks[number].pinned.keys.sorted() where !stop.guests.contains(guest) {
            for run in tasks[number].pinned.removeValue(forKey: guest) ?? [] { giveUp(run, .skipped, stop.reason) }
        }
        for queue in tasks[number].shared.indices
        where tasks[number].shared[queue].guests.isDisjoint(with: stop.guests) {
            let runs = tasks[number].shared[queue].runs
            tasks[number].shared[queue].runs = []
            for run in runs { giveUp(run, .skipped, stop.reason) }
        }
    }

    /// The runs given up since the last call, in order.
    mutating func takeAbandoned() -> [Abandoned] {
        defer { abandoned = [] }
        return abandoned
    }

    private mutating func giveUp(_ run: Run, _ outcome: Outcome, _ reason: String) {
        // An earlier attempt determines the outcome; the missing retry is only added to it.
        let (outcome, reason) =
            run.before.map { ($0.outcome, "\($0.message); not tried again: \(reason)") } ?? (outcome, reason)
        abandoned.append(Abandoned(run: run, outcome: outcome, reason: reason))
        close(run, success: false)
    }

    mutating func giveUpAll(of number: Int, _ outcome: Outcome, _ reason: String) {
        let pinned = tasks[number].pinned.sorted { $0.key < $1.key }.flatMap(\.value)
        let shared = tasks[number].shared.flatMap(\.runs)
        tasks[number].pinned = [:]
        for queue in tasks[number].shared.indices { tasks[number].shared[queue].runs = [] }
        for run in pinned + shared { giveUp(run, outcome, reason) }
    }

    /// Gives up the runs of a task that no guest can take any more; `lost` is the guest just lost, if any.
    mutating func giveUpHopeless(of number: Int, lost guest: Int? = nil) {
        for guest in guest.map({ [$0] }) ?? tasks[number].pinned.keys.sorted() {
            guard let reason = obstacle(to: number, on: guest) else { continue }
            for run in tasks[number].pinned.removeValue(forKey: guest) ?? [] { giveUp(run, .error, reason) }
        }
        for queue in tasks[number].shared.indices {
            let guests = tasks[number].shared[queue].guests
            guard let last = guests.max(), guests.allSatisfy({ obstacle(to: number, on: $0) != nil }) else { continue }
            let runs = tasks[number].shared[queue].runs
            tasks[number].shared[queue].runs = []
            for run in runs { giveUp(run, .error, obstacle(to: number, on: last) ?? "no guest is left") }
        }
    }
}
