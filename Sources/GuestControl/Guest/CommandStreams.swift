import Diagnostics
import Glibc
import GuestConsole
import HostSystem
import LabSpec
import Quantities

/// What a command reads, and where its standard error goes besides its output.
public struct CommandStreams: Sendable {
    let input: CommandSource?
    let access: HostAccess
    let errors: (@Sendable (ArraySlice<UInt8>) -> Void)?
    /// The folder for them in the guest; nil when none is needed.
    let folder: CommandFolder?

    /// The largest input, in bytes: a guest may have to keep it in memory.
    static let longestInput = ByteCount.mebibytes(64)

    /// Streams of one command in a guest. `input` is what it reads, where files are within `access`. `errors` gets at least the
    /// first `errorLimit` bytes of its standard error once it has ended; nil when that is not kept apart.
    public init(
        on os: GuestOS, input: CommandSource? = nil, access: HostAccess = .everything, errorLimit: Int = 0,
        errors: (@Sendable (ArraySlice<UInt8>) -> Void)? = nil
    ) {
        (self.input, self.access, self.errors) = (input, access, errors)
        let limit = errors == nil ? nil : errorLimit
        if input == nil, errors == nil {
            folder = nil
        } else if os == .windows {
            folder = CommandFolder("/c/lab", input: input.map { _ in #"C:\lab\input"# }, errorLimit: limit)
        } else {
            let path = "/tmp/vmlab-\(String(UInt64.random(in: .min ... .max), radix: 16))"
            folder = CommandFolder(path, input: input.map { _ in "\(path)/input" }, errorLimit: limit)
        }
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
        guard let folder = streams.folder else {
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
                try? await takeErrors(of: streams)
                throw timeout
            }
            try await takeErrors(of: streams)
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

    /// Passes on what a command that has ended, or was ended, has written to standard error. Throws as `run`.
    package func takeErrors(of streams: CommandStreams) async throws {
        guard let errors = streams.errors, let folder = streams.folder else { return }
        try await operate(TimeLimit(Self.errorTime * limits.factor), "reading standard error") { [self] deadline in
            try await session.commands.takeErrors(in: folder, deadline: deadline, output: errors)
        }
    }

    /// How long standard error may take to come from a guest.
    private static let errorTime = Duration.seconds(60)
}
