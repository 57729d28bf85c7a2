import ArgumentParser
import Diagnostics
import GuestControl
import JSON
import LabResults
import LabRunner
import LabSpec
import Quantities

struct PlanVerb: LoggingCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan", abstract: "Show what would run where; boot nothing.",
        discussion: """
            Shows the guests with their resources, how many batches they run in on this host, the tasks in order, and the \
            matrix cells.

              vmlab plan lab.yaml
              vmlab plan lab.yaml --json | jq .guests
            """)

    @OptionGroup var lab: LabOptions
    @OptionGroup var host: HostOptions
    @OptionGroup var grants: GrantOptions
    @OptionGroup var log: LogOptions

    @Flag(help: "Print JSON.")
    var json = false

    func run() async throws {
        if let script = lab.scripts.first {
            throw Diagnostic(
                .specification, "\(script) is a script, which has no plan: it boots guests as it runs",
                remedy: "`vmlab validate` checks its syntax")
        }
        let plans = try await Planner(host: host, access: grants.access).jobs(lab).compactMap(\.plan)
        if json {
            Output.line(JSONValue.array(plans.map(\.json)).indented())
        } else {
            for plan in plans { show(plan) }
        }
    }

    private func show(_ plan: RunPlan) {
        Output.line("lab \(plan.lab.name)" + (plan.lab.cell.map { " [\($0.id)]" } ?? ""))
        Output.line("")
        Output.table(
            ["GUEST", "IMAGE", "MEMORY", "CPUS", "BACKEND", "BOOT"],
            plan.guests.map {
                [
                    $0.guest.name, $0.group.image, $0.memory.description, "\($0.group.cpus)", $0.backend.name,
                    $0.group.boot.rawValue,
                ]
            })
        Output.line("")
        Output.line(
            "memory: \(plan.totalCost) for all, \(plan.budget.limit) may be used (\(plan.budget.explanation)): "
                + (plan.batches > 1 ? "\(plan.batches) batches" : "all at once"))
        Output.line(
            "admission: \(plan.lab.admission.rawValue); at once: \(plan.guestsAtOnce(.strict)) strict, "
                + "\(plan.guestsAtOnce(.overcommit)) by what guests usually use (overcommit)")
        Output.line("")
        Output.table(
            ["TASK", "ON", "RUNS", "NEEDS"],
            plan.lab.tasks.map {
                [$0.name, $0.places.joined(separator: ", "), "\($0.runs)", $0.needs.joined(separator: ", ")]
            })
        Output.line("")
    }
}

extension RunPlan {
    /// The plan for programs.
    fileprivate var json: JSONValue {
        [
            "lab": .string(lab.name), "cell": (lab.cell?.id).map(JSONValue.string), "file": .string(lab.source.path),
            "admission": .string(lab.admission.rawValue), "guests": .array(guests.map(\.json)),
            "tasks": .array(lab.tasks.map(\.json)), "memory": totalCost.json, "memoryLimit": budget.limit.json,
            "memoryLimitReason": .string(budget.explanation), "batches": .integer(Int64(batches)),
            "guestsAtOnce": [
                "strict": .integer(Int64(guestsAtOnce(.strict))),
                "overcommit": .integer(Int64(guestsAtOnce(.overcommit))),
            ],
        ]
    }
}

extension PlannedGuest {
    fileprivate var json: JSONValue {
        let more: JSONObject = [
            "boot": .string(group.boot.rawValue), "cpuWeight": group.cpuWeight.map { .integer(Int64($0)) },
            "ioWeight": group.ioWeight.map { .integer(Int64($0)) },
        ]
        return .object(description.object + more)
    }
}

extension LabTask {
    /// Where it runs, as people read it.
    fileprivate var places: [String] {
        targets.flatMap { target in
            switch target {
            case .every(let names): names
            case .any(let names): ["any of \(names.joined(separator: ", "))"]
            }
        }
    }

    fileprivate var json: JSONValue {
        [
            "name": .string(name), "on": .array(places.map(JSONValue.string)), "runs": .integer(Int64(runs)),
            "needs": .array(needs.map(JSONValue.string)), "reset": .string(reset.rawValue),
        ]
    }
}

extension ByteCount {
    fileprivate var json: JSONValue { .integer(Int64(clamping: bytes)) }
}
