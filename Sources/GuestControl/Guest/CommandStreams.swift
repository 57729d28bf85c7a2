import Diagnostics
import Glibc
import GuestConsole
import HostSystem
import LabSpec
import Quantities

/// What a command reads, and where its standard error goes besides its output.
public struct CommandStreams: Sendable {
    /// What it reads; nil for an empty input.
    public var input: CommandSource?
    /// The host files that an input may be.
    public var access: HostAccess
    /// Gets standard error once the command has ended; nil when it is not kept apart.
    public var errors: (@Sendable (ArraySlice<UInt8>) -> Void)?
    /// How much of standard error is kept apart, in bytes.
    public var errorLimit: Int

    /// The largest input, in bytes: a guest may have to keep it in memory.
    public static let longestInput = ByteCount.mebibytes(64)

    /// Streams as given.
    public init(
        input: CommandSource? = nil, access: HostAccess = .everything, errorLimit: Int = 0,
        errors: (@Sendable (ArraySlice<UInt8>) -> Void)? = nil
    ) {
        (self.input, self.access, self.errorLimit, self.errors) = (input, access, errorLimit, errors)
    }

    /// A folder for them in the guest; nil when none is needed.
    func folder(on os: GuestOS) -> CommandFolder? {
        guard input != nil || errors != nil else { return nil }
        let limit = errors == nil ? nil : errorLimit
        if os == .windows {
            return CommandFolder("/c/lab", input: input.map { _ in #"C:\lab\input"# }, errorLimit: limit)
        }
        let path = "/tmp/vmlab-\(String(UInt64.random(in: .min ... .max), radix: 16))"
        return CommandFolder(path, input: input.map { _ in "\(path)/input" }, errorLimit: limit)
    }
}

extension LiveGuest {
    /// Runs a command with its streams; those that need none cost nothing more. What a command has written to standard error until
    /// its deadline is passed on too. Throws as `run`, and a `Diagnostic` for an input that cannot be read.
    public func run(
        _ command: GuestCommand, with streams: CommandStreams, timeout: Duration? = nil,
        output: @escaping @Sendable (ArraySlice<UInt8>) -> Void
    ) async throws -> CommandResult {
        try await run(command, with: streams, within: limits.time(timeout), output: output)
    }

    package func run(
        _ command: GuestCommand, with streams: CommandStreams, of owner: String? = nil, within time: TimeLimit,
        output: @escaping @Sendable (ArraySlice<UInt8>) -> Void
    ) async throws -> CommandResult {
        guard let folder = streams.folder(on: planned.os) else {
            return try await run(command, of: owner, within: time, output: output)
        }
        return try await exclusive { [self] in
            var command = command
            command.folder = folder
            let result: CommandResult
            do {
                if let path = folder.input, let input = streams.input {
                    try await write(input, to: path, with: streams.access, within: time)
                }
                result = try await run(command, of: owner, within: time, output: output)
            } catch let timeout as GuestTimeout where timeout.recovery == .atPrompt {
                try? await takeErrors(of: streams, in: folder)
                throw timeout
            }
            try await takeErrors(of: streams, in: folder)
            return result
        }
    }

    private func write(
        _ input: CommandSource, to path: String, with access: HostAccess, within time: TimeLimit
    ) async throws {
        switch input {
        case .text(let bytes) where bytes.count <= FileExchange.smallLimit:
            try await operate(time, "the copy") { [self] deadline in
                try await session.files.write(small: bytes, to: path, deadline: deadline)
            }
        case .text(let bytes):
            try await withTemporaryFolder { folder in
                try SmallFile.replace("\(folder)/input", with: bytes)
                try await put(FileCopy(host: "\(folder)/input", guest: path), with: .everything, within: time)
            }
        case .file(let host):
            var status = stat()
            if stat(host, &status) == 0 {
                guard status.st_mode & S_IFMT == S_IFREG else {
                    throw Diagnostic(
                        .host, "the input \(host.quoted()) is no file", remedy: "name a file, or use `put`")
                }
                guard UInt64(status.st_size) <= CommandStreams.longestInput.bytes else {
                    throw Diagnostic(
                        .host, "the input \(host.quoted()) is larger than \(CommandStreams.longestInput)",
                        remedy: "copy it in by `put`, and read it there")
                }
            }
            try await put(FileCopy(host: host, guest: path), with: access, within: time)
        }
    }

    private func takeErrors(of streams: CommandStreams, in folder: CommandFolder) async throws {
        guard let errors = streams.errors else { return }
        try await operate(TimeLimit(Self.errorTime * limits.factor), "reading standard error") { [self] deadline in
            try await session.commands.takeErrors(in: folder, deadline: deadline, output: errors)
        }
    }

    /// How long standard error may take to come from a guest.
    private static let errorTime = Duration.seconds(60)
}
