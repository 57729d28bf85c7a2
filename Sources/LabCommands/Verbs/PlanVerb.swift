import ArgumentParser
import Diagnostics
import Foundation
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
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            Report.line(String(decoding: try encoder.encode(plans.map(PlanDescription.init)), as: UTF8.self))
        } else {
            for plan in plans { show(PlanDescription(plan)) }
        }
    }

    private func show(_ plan: PlanDescription) {
        Report.line("lab \(plan.lab)" + (plan.cell.map { " [\($0)]" } ?? ""))
        Report.line("")
        Report.table(
            ["GUEST", "IMAGE", "MEMORY", "CPUS", "BACKEND", "BOOT"],
            plan.guests.map {
                [$0.name, $0.image, ByteCount($0.memory).description, "\($0.cpus)", $0.backend, $0.boot]
            })
        Report.line("")
        Report.line(
            "memory: \(ByteCount(plan.memory)) for all, \(ByteCount(plan.memoryLimit)) may be used "
                + "(\(plan.memoryLimitReason)): "
                + (plan.batches > 1 ? "\(plan.batches) batches" : "all at once"))
        Report.line(
            "admission: \(plan.admission); at once: \(plan.guestsAtOnce.strict) strict, "
                + "\(plan.guestsAtOnce.overcommit) by what guests usually use (overcommit)")
        Report.line("")
        Report.table(
            ["TASK", "ON", "RUNS", "NEEDS"],
            plan.tasks.map { [$0.name, $0.on.joined(separator: ", "), "\($0.runs)", $0.needs.joined(separator: ", ")] })
        Report.line("")
    }
}

/// A plan as `vmlab plan` shows it.
struct PlanDescription: Encodable {
    struct GuestEntry: Encodable {
        var name: String
        var group: String
        var image: String
        var os: String
        var memory: UInt64
        var cpus: Int
        var backend: String
        var boot: String
        var cpuWeight: Int?
        var ioWeight: Int?
    }

    struct TaskEntry: Encodable {
        var name: String
        var on: [String]
        var runs: Int
        var needs: [String]
        var reset: String
    }

    var lab: String
    var cell: String?
    var file: String
    var admission: String
    var guests: [GuestEntry]
    var tasks: [TaskEntry]
    var memory: UInt64
    var memoryLimit: UInt64
    var memoryLimitReason: String
    var batches: Int
    /// How many guests would run at once under each mode of admission.
    var guestsAtOnce: AtOnce

    struct AtOnce: Encodable {
        var strict: Int
        var overcommit: Int
    }

    init(_ plan: RunPlan) {
        lab = plan.lab.name
        cell = plan.lab.cell?.id
        file = plan.lab.source.path
        admission = plan.lab.admission.rawValue
        guests = plan.guests.map {
            GuestEntry(
                name: $0.guest.name, group: $0.guest.group, image: $0.group.image, os: $0.os.rawValue,
                memory: $0.memory.bytes, cpus: $0.group.cpus, backend: $0.backend.name, boot: $0.group.boot.rawValue,
                cpuWeight: $0.group.cpuWeight, ioWeight: $0.group.ioWeight)
        }
        tasks = plan.lab.tasks.map { task in
            let places = task.targets.map { target -> (text: [String], count: Int) in
                switch target {
                case .every(let names): (names, names.count)
                case .any(let names): (["any of \(names.joined(separator: ", "))"], 1)
                }
            }
            return TaskEntry(
                name: task.name, on: places.flatMap(\.text),
                runs: places.reduce(0) { $0 + $1.count } * task.repetitions, needs: task.needs,
                reset: task.reset.rawValue)
        }
        memory = plan.totalCost.bytes
        memoryLimit = plan.budget.limit.bytes
        memoryLimitReason = plan.budget.explanation
        batches = plan.batches
        guestsAtOnce = AtOnce(
            strict: plan.guestsAtOnce(.strict), overcommit: plan.guestsAtOnce(.overcommit))
    }
}
