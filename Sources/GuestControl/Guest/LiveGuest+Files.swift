import Diagnostics
import Glibc
import HostSystem
import LabSpec
import Quantities

extension LiveGuest {
    /// Copies a host file or folder into the guest, within `access`. Throws a `Diagnostic` that names both paths, and as `run`.
    public func put(_ copy: FileCopy, with access: HostAccess, timeout: Duration? = nil) async throws {
        try await put(copy, with: access, within: limits.time(timeout))
    }

    package func put(_ copy: FileCopy, with access: HostAccess, within time: TimeLimit) async throws {
        try await operate(time, "the copy") { [self] deadline in
            do {
                try await session.files.put(copy, with: access, deadline: deadline)
            } catch var problem as Diagnostic where problem.category == .specification {
                // The files have changed since the lab was checked, so the lab is not at fault.
                problem.category = .host
                throw problem
            }
        }
    }

    /// Copies a guest file or folder, or all that match a pattern, into a host folder. Throws a `Verdict` when the guest cannot
    /// provide them, for example when no such file exists, and as `put`.
    public func get(
        _ collection: FileCollection, into folder: HostFolder, timeout: Duration? = nil
    ) async throws -> CollectedFiles {
        try await get(collection, into: folder, within: limits.time(timeout))
    }

    package func get(_ collection: FileCollection, into folder: HostFolder, within time: TimeLimit) async throws
        -> CollectedFiles
    {
        try await operate(time, "the copy") { [self] deadline in
            try await collecting { try await session.files.get(collection, into: folder, deadline: deadline) }
        }
    }

    /// A file that the guest cannot provide is the task's own failure.
    private func collecting<Result>(_ body: () async throws -> Result) async throws -> Result {
        do {
            return try await body()
        } catch let problem as Diagnostic where problem.category == .guest {
            throw Verdict(.failed, problem.lineWithRemedy)
        }
    }

    /// A guest file's content. Throws as `get`, also for a folder and for a file larger than `limit` bytes.
    public func read(_ path: String, limit: Int, timeout: Duration? = nil) async throws -> [UInt8] {
        let small = try await operate(limits.time(timeout), "the copy") { [self] deadline in
            try await collecting { try await session.files.read(small: path, deadline: deadline) }
        }
        if let small { return small }
        return try await withTemporaryFolder { folder in
            let collection = FileCollection(path, limit: ByteCount(UInt64(limit)))
            let files = try await get(collection, into: try HostFolder(folder), timeout: timeout)
            return try SmallFile.bytes("\(folder)/\(files.names.first ?? "")", limit: limit)
        }
    }

    /// Writes a guest file. Throws as `put`.
    public func write(_ bytes: [UInt8], to path: String, timeout: Duration? = nil) async throws {
        if bytes.count <= FileExchange.smallLimit {
            return try await operate(limits.time(timeout), "the copy") { [self] deadline in
                try await session.files.write(small: bytes, to: path, deadline: deadline)
            }
        }
        try await withTemporaryFolder { folder in
            let file = "\(folder)/content"
            let descriptor = try OwnedDescriptor.open(file, O_WRONLY | O_CREAT | O_EXCL)
            try writeAll(descriptor.number, bytes[...])
            try await put(FileCopy(host: file, guest: path), with: .everything, timeout: timeout)
        }
    }

    func withTemporaryFolder<Result>(_ body: (String) async throws -> Result) async throws -> Result {
        let folder = "\(directory)/copy-\(UInt64.random(in: .min ... .max))"
        try FileTree.makeFolder(folder, mode: 0o700)
        defer { try? FileTree.remove(folder) }
        return try await body(folder)
    }
}
