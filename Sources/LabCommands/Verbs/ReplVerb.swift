import ArgumentParser
import Diagnostics
import Dispatch
import Glibc
import HostSystem
import GuestControl
import HostResources
import LabRunner
import LabImages
import LabResults
import LabScripting
import LabSpec
import Synchronization

struct ReplVerb: LoggingCommand {
    static let configuration = CommandConfiguration(
        commandName: "repl", abstract: "Boot a lab's guests and drive them from a Lua prompt.",
        discussion: """
            The lab's guests are variables with their names; its tasks do not run. Without a lab, boot guests yourself:

              vmlab repl lab.yaml
              > web:succeed("uname -a")
              > other = vmlab.boot{ image = "debian" }

            Tab completes. Ctrl-C stops what runs, or clears the line; Ctrl-D ends the session and its guests. Docs/lua.md \
            describes all functions.
            """)

    @Argument(help: "A lab file.", completion: .file(extensions: ["yaml", "yml"])) var lab: String?
    @OptionGroup var host: HostOptions
    @OptionGroup var grants: GrantOptions
    @OptionGroup var log: LogOptions

    @Option(help: ArgumentHelp("Write the results to this folder instead of results/<lab>-<time>.", valueName: "dir"))
    var out: String?

    func run() async throws {
        let planner = Planner(host: host, access: grants.access)
        let lab = try await lab(planner)
        let directory = try RunDirectory.create(lab: lab?.name ?? "session", out: out)
        let selection = SinkSelection(environment: Environment.all, isTerminal: false)
        let progress = PlainSink(
            .standardOutput, style: selection.style, directory: directory.path,
            columns: { isatty(1) == 1 ? TerminalSink.Size.of(1).columns : .max })
        let recorder = RunRecorder(sinks: [progress] + (try SinkSelection.fileSinks(directory)))
        defer { recorder.finish() }
        let description = RunDescription(
            lab: lab?.name ?? "session", file: self.lab ?? "", host: .current, version: vmlabVersion)
        recorder.emit(.runStarted(description))
        let journal = try RunJournal.begin(lab: lab?.name ?? "session", results: directory.path)
        defer { journal.end() }
        let options = ScriptRun.Options(
            variables: grants.variables, isTrusted: grants.trust, access: grants.access,
            catalog: Set(ImageCatalog.names))
        let conversation = try Conversation()
        let signals = try SignalWatcher.signals()
        let session = Task {
            try await ScriptSession.run(
                lab, resources: planner.resources(recorder), options: options, recorder: recorder, results: directory,
                journal: journal, print: { Output.line($0) }
            ) { try await conversation.hold($0) }
        }
        let watcher = Task {
            for await signal in signals {
                if signal != SIGINT || !conversation.interrupt() {
                    conversation.end()
                    session.cancel()
                }
            }
        }
        defer { watcher.cancel() }
        let outcome = await session.result
        recorder.emit(.runFinished(RunSummary(status: .passed, duration: recorder.clock.elapsed, counts: [:])))
        if case .failure(let error) = outcome, !(error is CancellationError) {
            throw error is GuestLoss ? Diagnostic(.guest, "\(error)") : error
        }
    }

    private func lab(_ planner: Planner) async throws -> Lab? {
        guard let file = lab else { return nil }
        var options = LabOptions()
        (options.files, options.settings, options.filter) = ([file], [], [])
        let plans = try await planner.jobs(options).compactMap(\.plan)
        guard plans.count == 1 else {
            throw Diagnostic(
                .specification, "\(file) has a matrix of \(plans.count) cells",
                remedy: "`repl` needs a lab without one: remove `matrix:` from a copy")
        }
        return plans.first?.lab
    }
}

/// What a person and a session say to each other.
private final class Conversation: Sendable {
    private struct State {
        /// Whether lines are read: not yet while the guests boot.
        var hasBegun = false
        var input: Task<ScriptSession.Answer, Never>?
        var isOver = false
    }

    private let state = Mutex(State())
    private let editor: LineEditor

    init() throws(SystemCallError) {
        let folder = Environment["XDG_STATE_HOME"] ?? "\(Environment["HOME"] ?? "/tmp")/.local/state"
        editor = try LineEditor(history: "\(folder)/vmlab/history")
    }

    /// Ends what an input runs, or drops the line that is being typed; false when there is neither.
    func interrupt() -> Bool {
        let (input, hasBegun) = state.withLock { ($0.input, $0.hasBegun) }
        guard let input else { return hasBegun && editor.drop() }
        input.cancel()
        return true
    }

    func end() {
        let input = state.withLock { state in
            state.isOver = true
            return state.input
        }
        input?.cancel()
        editor.end()
    }

    /// Reads and answers until the end of input.
    func hold(_ session: ScriptSession) async throws {
        editor.completes { word in
            // On the editor's own thread, which has nothing else to do.
            let words = Mutex<[String]>([])
            let done = DispatchSemaphore(value: 0)
            Task {
                let found = await session.complete(word)
                words.withLock { $0 = found }
                done.signal()
            }
            _ = done.wait(timeout: .now() + 2)
            return words.withLock { $0 }
        }
        state.withLock { $0.hasBegun = true }
        if isatty(0) == 1 {
            let guests = session.guests
            Output.line(
                guests.isEmpty
                    ? "vmlab.boot{ image = \"debian\" } boots a guest." : "guests: \(guests.joined(separator: ", "))")
        }
        var text = ""
        while !state.withLock({ $0.isOver }) {
            let line: String
            switch await read(text.isEmpty ? "> " : ">> ") {
            case .line(let typed): line = typed
            case .dropped:
                text = ""
                Output.line("")
                continue
            case .end: return
            }
            text += (text.isEmpty ? "" : "\n") + line
            guard text.contains(where: { !$0.isWhitespace }) else {
                text = ""
                continue
            }
            let input = Task { [text] in await session.evaluate(text) }
            state.withLock { $0.input = input }
            let answer = await input.value
            state.withLock { $0.input = nil }
            if answer == .incomplete { continue }
            editor.remember(text)
            text = ""
            switch answer {
            case .values(let values): if !values.isEmpty { Output.line(values.joined(separator: "\t")) }
            case .failure(let message): Output.error(message)
            case .incomplete: break
            }
        }
    }

    private func read(_ prompt: String) async -> TypedLine {
        (try? await HostThread.run("vmlab-editor") { [editor] _ in editor.read(prompt) }) ?? .end
    }
}
