import Foundation
import Glibc
import HostSystem
import LabResults
import Testing

extension VMLab {
    /// The complete lines of a run's `events.jsonl`; none when it is not there yet.
    func events(_ out: String = "out") -> [Event] {
        guard let bytes = try? bytes("\(out)/events.jsonl"), let end = bytes.lastIndex(of: 10) else { return [] }
        let decoder = JSONDecoder()
        return bytes[..<end].split(separator: 10).compactMap { try? decoder.decode(Event.self, from: Data($0)) }
    }

    /// A run's `results.json`.
    func report(_ out: String = "out") throws -> RunReport { try ResultsFile.load("\(path)/\(out)") }

    /// What a task printed, byte for byte.
    func output(_ task: String, on guest: String, in out: String = "out") throws -> [UInt8] {
        try bytes("\(out)/tasks/\(task)/\(guest)/output")
    }

    /// A guest's recorded console.
    func console(_ guest: String, in out: String = "out") throws -> String {
        try text("\(out)/guests/\(guest)/console.log")
    }
}

extension RunReport {
    /// How a task went on a guest.
    func task(_ name: String, on guest: String? = nil, _ location: SourceLocation = #_sourceLocation) throws
        -> TaskResult
    {
        try #require(
            tasks.first { $0.id.task == name && (guest == nil || $0.id.guest == guest) },
            "no result of \(name) on \(guest ?? "any guest")", sourceLocation: location)
    }

    /// Outcomes as `task@guest: outcome (message)`, for messages.
    var outcomes: [String] {
        tasks.map { "\($0.id.task)@\($0.id.guest ?? "-"): \($0.outcome)" + ($0.message.map { " (\($0))" } ?? "") }
    }
}

/// A process of the host.
struct HostProcess: Sendable, CustomStringConvertible {
    let id: pid_t
    let command: [String]

    /// The guest whose machine it is; nil for other processes.
    var guest: String? {
        guard command.first?.hasSuffix("qemu-system-x86_64") == true else { return nil }
        let name = command.first { $0.hasPrefix("guest=") }?.dropFirst("guest=".count)
        return name.map { String($0.prefix { $0 != "," }) }
    }

    var description: String { "process \(id): \(command.prefix(6).joined(separator: " "))" }
}

extension VMLab {
    /// The processes that a command of this folder has started, its own included: their environment tells.
    var processes: [HostProcess] {
        let mark = "TMPDIR=\(path)/tmp"
        let names = (try? FileTree.names(in: "/proc")) ?? []
        return names.compactMap { pid_t($0) }.compactMap { id in
            guard let environment = SmallFile.text("/proc/\(id)/environ"),
                environment.split(separator: "\0").contains(mark[...]),
                let command = ProcessTable().commandLine(of: id), !command.isEmpty
            else { return nil }
            return HostProcess(id: id, command: command)
        }
    }

    /// Machines of this folder's runs.
    var machines: [HostProcess] { processes.filter { $0.guest != nil } }

    /// All that a run must not leave: processes, sockets, overlays, temporary folders, journals.
    var leftovers: [String] {
        processes.map(\.description) + files(under: "tmp").filter { $0 != "vmlab-\(geteuid())" }.map { "tmp/" + $0 }
            + files(under: "state/vmlab/runs").map { "state/vmlab/runs/" + $0 } + files(under: "runtime")
    }

    /// Everything in a folder and below, relative to it, sorted.
    func files(under folder: String) -> [String] {
        let entries = FileManager.default.enumerator(atPath: "\(path)/\(folder)")?.compactMap { $0 as? String }
        return (entries ?? []).sorted()
    }
}
