import LabRunner
import LabResults
import LabScripting
import LabSpec

/// One run of `vmlab run`: a lab, one cell of its matrix, or a script.
struct RunJob: Sendable {
    /// What is run.
    enum Work: Sendable {
        case lab(RunPlan)
        case script(Script)
    }

    /// Which of the command line's files it comes from, counted from 0.
    let file: Int
    let work: Work

    /// The lab's name.
    var name: String {
        switch work {
        case .lab(let plan): plan.lab.name
        case .script(let script): script.name
        }
    }

    /// The cell of the lab's matrix; nil without one.
    var cell: String? { plan?.lab.cell?.id }

    /// How long it may take to clean up when it is interrupted, before that is stretched.
    var grace: Duration { (plan?.lab.timeouts ?? Timeouts()).grace }

    /// The plan of a lab; nil for a script.
    var plan: RunPlan? {
        if case .lab(let plan) = work { plan } else { nil }
    }

    /// What the run's first event says.
    var description: RunDescription {
        switch work {
        case .lab(let plan): plan.description(host: .current, version: vmlabVersion)
        case .script(let script): script.description(host: .current, version: vmlabVersion)
        }
    }
}
