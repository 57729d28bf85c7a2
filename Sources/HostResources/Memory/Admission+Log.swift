import Diagnostics
import LabSpec
import Logging
import Quantities

extension Admission {
    /// Like `acquire`, and logs the wait, its reason and the admission.
    package func acquire(_ claim: Claim, log: Logger) async -> Bool {
        if let obstacle = obstacle(to: claim) {
            log.debug("\(obstacle.words)", metadata: figures(of: claim))
        }
        let begun = ContinuousClock.now
        let isIn = await acquire(claim)
        log.debug(
            isIn ? "admitted" : "no longer needed while it waited",
            metadata: figures(of: claim).merging(["ms": "\(begun.millisecondsAgo)"]) { $1 })
        return isIn
    }

    package func release(_ claim: Claim, log: Logger) {
        release(claim)
        log.debug("memory released", metadata: figures(of: claim))
    }

    private func figures(of claim: Claim) -> Logger.Metadata {
        let (ledger, slots) = figures
        return [
            "claim": "\(ByteCount(ledger.cost(of: claim)))", "taken": "\(ByteCount(ledger.charged))",
            "limit": "\(ByteCount(ledger.limit))", "guests": "\(ledger.count)", "freeSlots": "\(slots)",
        ]
    }
}
