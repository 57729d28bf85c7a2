import CLinux
import Glibc
import Synchronization

/// A supervised child process in its own session, killed by the kernel when this process dies, always reaped exactly once.
public final class ChildProcess: Sendable {
    /// Its process id, which may be reused after it was reaped; use `kill` instead of the number.
    public let processID: pid_t
    /// Its start time in clock ticks since the host's boot, unique together with the id. 0 if unknown.
    public let startTime: UInt64

    /// Whether it has its own network, IPC and UTS namespaces, as an unprivileged child has where the host allows it.
    public let hasOwnNamespaces: Bool

    private struct Supervision: Sendable {
        var readiness: Readiness?
        var pumps: [OutputPump] = []
        var isReaped = false
    }

    private let pidfd: OwnedDescriptor
    private let supervision = Mutex(Supervision())
    private let exit = Completion<ChildStatus>()
    private let output: ByteRing?
    private let errors: ByteRing?

    /// Starts a child; `execve` has succeeded when this returns. Throws the failed call, `execve` with the program's path when it
    /// cannot run. Never cancelled half-way.
    public static func spawn(_ configuration: ChildConfiguration) async throws(SystemCallError) -> ChildProcess {
        try await EventLoop.spawner.run { () -> Result<ChildProcess, SystemCallError> in
            do throws(SystemCallError) {
                return .success(try ChildProcess(configuration))
            } catch {
                return .failure(error)
            }
        }.get()
    }

    private init(_ configuration: ChildConfiguration) throws(SystemCallError) {
        let null = try OwnedDescriptor.open("/dev/null", O_RDWR)
        var descriptors: [vmlab_descriptor] = []
        switch configuration.standardInput {
        case .null: descriptors.append(vmlab_descriptor(source: null.number, target: 0))
        case .descriptor(let number): descriptors.append(vmlab_descriptor(source: number, target: 0))
        }
        for (target, source) in configuration.inherited {
            descriptors.append(vmlab_descriptor(source: source, target: target))
        }
        let out = try OutputEnd(configuration.standardOutput, null: null.number)
        let err = try OutputEnd(configuration.standardError, null: null.number)
        descriptors.append(vmlab_descriptor(source: out.number, target: 1))
        descriptors.append(vmlab_descriptor(source: err.number, target: 2))

        let started = try Self.start(configuration, descriptors)
        processID = started.processID
        hasOwnNamespaces = started.isConfined
        pidfd = OwnedDescriptor(owning: started.pidfd)
        startTime = ProcessTable().startTime(of: started.processID) ?? 0
        output = out.ring
        errors = err.ring

        do throws(SystemCallError) {
            let pumps = [try out.pump(), try err.pump()].compactMap { $0 }
            supervision.withLock { $0.pumps = pumps }
            // The handler keeps this object until the child is reaped, so that dropping it leaves no zombie.
            // Under the lock that `reap` takes: the child may end before this returns.
            try supervision.withLock { (supervision: inout Supervision) throws(SystemCallError) in
                supervision.readiness = try Readiness(of: pidfd.number) { self.reap() }
            }
        } catch {
            // Supervision failed: kill it, because it would never be reaped.
            kill(SIGKILL)
            _ = waitpid(processID, nil, 0)
            throw error
        }
    }

    /// Reaps it when it has ended. On the event loop's thread.
    private func reap() {
        var code: Int32 = 0
        var status: Int32 = 0
        let result = supervision.withLock { supervision in
            guard !supervision.isReaped else { return Int32(0) }
            let result = vmlab_pidfd_reap(pidfd.number, &code, &status)
            if result != 0 { supervision.isReaped = true }
            return result
        }
        guard result != 0 else { return }
        let (pumps, readiness) = supervision.withLock { supervision in
            defer { (supervision.pumps, supervision.readiness) = ([], nil) }
            return (supervision.pumps, supervision.readiness)
        }
        for pump in pumps { pump.finish() }
        readiness?.end()
        // -1: other code reaped it, against the rules; it is gone all the same.
        let ended: ChildStatus = result == 1 && code != CLD_EXITED ? .signalled(status) : .exited(status)
        exit.fulfil(ended)
    }

    /// Waits for its exit status. Throws `CancellationError` at once when the calling task is cancelled.
    public func wait() async throws -> ChildStatus { try await exit.wait() }

    /// Waits for its exit status, also in a cancelled task: call it when the child has been killed.
    public func ended() async -> ChildStatus { await exit.value() }

    /// Its exit status; nil while it runs.
    public var exitStatus: ChildStatus? { exit.current }

    /// Sends it a signal; no effect after it was reaped, even if its id was reused.
    public func kill(_ signal: Int32 = SIGKILL) {
        _ = vmlab_pidfd_send_signal(pidfd.number, signal)
    }

    /// Sends a signal to it and to its own children that stayed in its process group.
    public func killGroup(_ signal: Int32 = SIGKILL) {
        supervision.withLock { supervision in
            // Its id cannot be reused until it is reaped.
            if !supervision.isReaped { _ = Glibc.kill(-processID, signal) }
        }
    }

    /// Its standard error as kept by `.ring`; complete after its end.
    public var standardError: [String] { errors?.lines ?? [] }

    /// Its standard output as kept by `.ring`; complete after its end.
    public var standardOutput: [UInt8] { output?.bytes ?? [] }
}

extension ChildProcess {
    private static func start(
        _ configuration: ChildConfiguration, _ descriptors: [vmlab_descriptor]
    ) throws(SystemCallError) -> (processID: pid_t, pidfd: Int32, isConfined: Bool) {
        let arguments = CStrings([configuration.executable] + configuration.arguments)
        let environment = CStrings(
            configuration.environment.map { $0.map { "\($0)=\($1)" }.sorted() } ?? Environment.ambient)
        var processID: pid_t = 0
        var pidfd: Int32 = -1
        var isConfined = false
        var step: UnsafePointer<CChar>?
        let error = configuration.executable.withCString { executable in
            descriptors.withUnsafeBufferPointer { descriptors in
                withOptionalCString(configuration.workingDirectory) { directory in
                    var request = vmlab_spawn(
                        executable: executable, arguments: arguments.pointers, environment: environment.pointers,
                        working_directory: directory, descriptors: descriptors.baseAddress,
                        descriptor_count: descriptors.count, small_pages: configuration.hasSmallPages,
                        unprivileged: configuration.isUnprivileged)
                    return vmlab_spawn(&request, &processID, &pidfd, &isConfined, &step)
                }
            }
        }
        guard error == 0 else {
            let call = step.map { String(cString: $0) } ?? "clone"
            let subject = call == "chdir" ? configuration.workingDirectory : configuration.executable
            throw SystemCallError(call, errno: error, subject)
        }
        return (processID, pidfd, isConfined)
    }
}

/// A null-terminated array of C strings, freed with its owner.
private struct CStrings: ~Copyable {
    let pointers: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
    private let count: Int

    /// A string that contains NUL ends there, as for any C program.
    init(_ strings: [String]) {
        count = strings.count
        pointers = .allocate(capacity: count + 1)
        for (index, string) in strings.enumerated() { pointers[index] = strdup(string) }
        pointers[count] = nil
    }

    deinit {
        for index in 0..<count { free(pointers[index]) }
        pointers.deallocate()
    }
}

private func withOptionalCString<Result>(_ string: String?, _ body: (UnsafePointer<CChar>?) -> Result) -> Result {
    guard let string else { return body(nil) }
    return string.withCString(body)
}
