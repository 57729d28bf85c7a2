import Diagnostics
import GuestControl
import HostResources
import HostSystem
import LabImages
import LabMachines
import LabResults
import LabRunner
import LabScripting
import LabSpec
import Quantities

/// Adds a layer to an image by a lab of one guest: packages, files, the image's `setup:`, then an orderly end.
struct SetupRunner: ImageSetup {
    let planner: Planner
    /// Multiplies every timeout.
    var timeFactor = 1.0
    /// How long an image's `setup:` may take.
    static let limit = Duration.seconds(30 * 60)

    private static let guest = "setup"
    private static let setup = "setup"

    func add(
        _ layer: ImageLayer, to image: BootableImage, access: HostAccess, logs: String,
        progress: @escaping ImageProgress
    ) async throws -> String {
        var lab = lab(layer, image)
        lab.access = access
        let plan: RunPlan
        do throws(DiagnosticList) {
            let facts = ImageFacts(
                os: image.os, defaultMemory: image.defaultMemory, minimumMemory: image.minimumMemory)
            plan = try RunPlan.make(lab: lab, images: [image.name: facts], budget: planner.budget) {
                group, image throws(Diagnostic) in try BackendSelection().backend(for: group, of: image)
            }
        } catch {
            throw error.all.first ?? Diagnostic(.image, "cannot make the image \(layer.name)")
        }
        let results = try RunDirectory.create(lab: lab.name, out: logs)
        let report = ReportSink([])
        let recorder = RunRecorder(sinks: [report, SetupProgress(progress)] + (try SinkSelection.fileSinks(results)))
        recorder.emit(.runStarted(plan.description(host: .current, version: vmlabVersion)))
        let journal = try RunJournal.begin(lab: lab.name, results: results.path)
        defer { journal.end() }
        _ = await LabRun(
            plan: plan, images: [image.name: image],
            options: LabRun.Options(timeFactor: timeFactor, stopOnFailure: true, boots: 1), recorder: recorder,
            results: results, journal: journal,
            scripting: LuaTasks(results: results, isTrusted: false, catalog: [], variables: [:])
        ).run()
        await recorder.finished()
        try Task.checkCancellation()
        // Its last task leaves the guest powered off, which for another lab would be an error.
        guard report.report.tasks.contains(where: { $0.outcome != .passed }) else {
            return report.report.tasks.first { $0.id.task == Self.setup }?.outputTail ?? ""
        }
        throw problem(layer, report.report, logs)
    }

    private func lab(_ layer: ImageLayer, _ image: BootableImage) -> Lab {
        var group = GuestGroup(Self.guest, image: image.name)
        group.memory = layer.memory
        group.backend = .qemu
        group.boot = .cold
        group.cpus = 1
        // A disk that has no agent yet may have no tools for a network either.
        group.networks = image.os == .linux && !layer.isAgent ? [Self.outside] : []
        var tasks: [LabTask] = []
        func task(_ name: String, _ action: TaskAction, put: [FileCopy] = []) {
            var task = LabTask(name, on: [.every([Self.guest])], action)
            task.put = put
            task.timeout = Self.limit
            task.needs = tasks.last.map { [$0.name] } ?? []
            // A kernel's warning about its host is no fault of the image.
            task.failOn = []
            task.span = layer.span
            tasks.append(task)
        }
        if !layer.packages.isEmpty {
            let names = layer.packages.joined(separator: " ")
            task(
                "packages",
                .run(
                    "command -v apt-get >/dev/null || { echo 'the guest has no apt-get: use `setup:`'; exit 1; }\n"
                        + "export DEBIAN_FRONTEND=noninteractive\napt-get -q update\n"
                        + "apt-get -q install -y --no-install-recommends \(names)\napt-get clean\n"))
        }
        if !layer.files.isEmpty { task("files", .nothing, put: layer.files) }
        if let setup = layer.setup { task(Self.setup, .run(setup)) }
        task("power-off", .lua(.inline(LuaText("guest:poweroff()"))))
        var lab = Lab("image-\(layer.name)", groups: [group], tasks: tasks)
        if let file = layer.span?.file { lab.source = file }
        lab.networks = group.networks.map { NetworkSpec(name: $0, nat: true) }
        lab.timeouts = Timeouts(boot: .seconds(600), task: Self.limit)
        return lab
    }

    private static let outside = "outside"

    private func problem(_ layer: ImageLayer, _ report: RunReport, _ logs: String) -> Diagnostic {
        let failed = report.tasks.first { ![.passed, .skipped].contains($0.outcome) }
        let guest = report.guests.first
        let what =
            failed.map { "its \($0.id.task) \($0.outcome == .timeout ? "took too long" : "failed")" }
            ?? "its guest failed"
        let lines = (failed?.outputTail ?? "").split(separator: "\n").suffix(12).map(String.init)
        return Diagnostic(
            .image, "the image \(layer.name) cannot be made: \(what)",
            remedy: "the whole output and the guest's console lie in \(logs)",
            cause: failed?.message ?? guest?.reason, at: layer.span,
            notes: lines.isEmpty ? failed?.consoleTail.suffix(12) ?? guest?.consoleTail.suffix(12) ?? [] : lines)
    }
}

/// Tells what the guest of an image is doing.
private final class SetupProgress: RunSink {
    private let progress: ImageProgress

    init(_ progress: @escaping ImageProgress) { self.progress = progress }

    func receive(_ event: RecordedEvent) {
        switch event.event {
        case .guestBooting: progress("booting a guest", nil)
        case .taskStarted(let id, _): progress("\(id.task)", nil)
        default: break
        }
    }
}
