import Diagnostics
import Glibc
import HostSystem
import LabTestSupport
import Testing

/// Runs one test of this bundle in a process of its own, to be killed at will.
enum NestedProcess {
    static let variable = "VMLAB_NESTED_TEST"

    /// What the nested test was given; nil in an ordinary run, which must skip it.
    static var argument: String? { Environment[variable] }

    /// Starts `test` with `argument`; it must put a file `ready` into that folder, which this waits for.
    static func start(_ test: String, _ argument: String) async throws -> ChildProcess {
        var words = try #require(ProcessTable().commandLine(of: getpid()))
        while let index = words.firstIndex(of: "--filter"), index + 1 < words.count {
            words.removeSubrange(index...(index + 1))
        }
        words.append(contentsOf: ["--filter", test])
        let program = words.removeFirst()
        var environment = Environment.all
        environment[variable] = argument
        let fifo = argument + "/ready"
        #expect(mkfifo(fifo, 0o600) == 0)
        let executable = try #require(Tool.find(program) ?? Tool.find("/proc/self/exe"))
        let child = try await ChildProcess.spawn(
            ChildConfiguration(
                executable: executable, arguments: words, environment: environment, standardOutput: .ring(64 * 1024)))
        let ready = try OwnedDescriptor.open(fifo, O_RDONLY | O_NONBLOCK)
        let readiness = try Readiness(of: ready.number)
        try await withDeadline(.now + .seconds(30)) { try await readiness.readable() }
        readiness.end()
        _ = consume ready
        return child
    }

    /// In the nested test: tells the parent, then does nothing until it is killed.
    static func readyThenWait(_ folder: String) throws {
        let ready = try OwnedDescriptor.open(folder + "/ready", O_WRONLY)
        _ = write(ready.number, "r", 1)
        _ = consume ready
        while true { pause() }
    }
}
