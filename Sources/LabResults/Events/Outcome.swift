/// How a task on a guest, or a whole run, ended.
public enum Outcome: String, Sendable, Hashable, CaseIterable {
    /// It met its expectation.
    case passed
    /// It passed on a retry.
    case flaky
    /// The task's own verdict: a wrong exit status or output.
    case failed
    /// A deadline or the silence watchdog ended it.
    case timeout
    /// The guest's kernel panicked.
    case panicked
    /// Infrastructure failed: the guest did not boot or died, a file could not be copied.
    case error
    /// It did not run: something it needs did not pass, or the run was stopped.
    case skipped

    /// Whether it counts as success.
    public var isSuccess: Bool { self == .passed || self == .flaky }
}

/// The exit statuses of `vmlab run`.
public enum ExitStatus: Int32, Sendable {
    /// Every task passed.
    case passed = 0
    /// A task failed.
    case failed = 1
    /// The lab or the command line is wrong.
    case invalid = 2
    /// A guest did not boot, died or panicked, or an image could not be built.
    case infrastructure = 3
    /// A deadline passed.
    case deadline = 4
    /// Ended by a signal.
    case interrupted = 130

    /// The status in a word, for reports: the name of its case.
    var word: String { "\(self)" }

    /// The gravest of several runs' statuses.
    public static func gravest(of statuses: some Sequence<ExitStatus>) -> ExitStatus {
        let order: [ExitStatus] = [.interrupted, .infrastructure, .deadline, .failed, .invalid]
        let all = Set(statuses)
        return order.first(where: all.contains) ?? .passed
    }

    /// The status of a run with these task outcomes: the gravest of infrastructure, deadline, failure.
    public static func gravest(of outcomes: some Sequence<Outcome>) -> ExitStatus {
        var status = ExitStatus.passed
        for outcome in outcomes {
            switch outcome {
            case .panicked, .error: return .infrastructure
            case .timeout: status = .deadline
            case .failed where status == .passed: status = .failed
            case .failed, .passed, .flaky, .skipped: break
            }
        }
        return status
    }
}
