import Diagnostics
import Glibc
import GuestConsole
import HostSystem
import LabSpec

/// Kernel modules from the host that are loaded into a guest at its ready point, in order.
struct KernelModules: Sendable {
    /// The files, absolute: `.ko`, possibly compressed.
    let files: [String]
    /// The machine's folder, for decompressed modules.
    let directory: String

    /// Their folder in the guest.
    private static let folder = "/tmp/vmlab-modules"

    /// The decompressors by file extension, with their Debian packages.
    private static let unpackers = ["xz": ("xz", "xz-utils"), "zst": ("zstd", "zstd"), "gz": ("gzip", "gzip")]

    /// Copies the modules into the guest with `put` and loads the missing ones with its shell, `run`. Throws a `Diagnostic`,
    /// and errors of these.
    func load(
        deadline: ContinuousClock.Instant, put: (FileCopy) async throws -> Void,
        run: (GuestCommand) async throws -> (status: Int32, said: String)
    ) async throws {
        for file in files {
            let module = String(file[(file.lastIndex(of: "/").map(file.index(after:)) ?? file.startIndex)...])
            let name = String(module.prefix { $0 != "." })
            let plain = try await withDeadline(deadline) { try await unpacked(file, as: "\(directory)/\(name).ko") }
            let place = "\(Self.folder)/\(name).ko"
            try await put(FileCopy(host: plain, guest: place))
            let (status, said) = try await run(
                GuestCommand(
                    """
                    PATH=$PATH:/usr/sbin:/sbin
                    [ -d /sys/module/\(name.replacing("-", with: "_")) ] || insmod \(place)
                    """))
            guard status == 0 else {
                throw Diagnostic(
                    .guest, "the guest's kernel did not load the module \(module)",
                    remedy: "it must be built for exactly this kernel, and come after the modules that it needs",
                    cause: said)
            }
        }
    }

    private func unpacked(_ file: String, as plain: String) async throws -> String {
        guard let ending = file.split(separator: ".").last, let (tool, package) = Self.unpackers[String(ending)] else {
            return file
        }
        let result = try await Tool.run(tool, ["-dc", file], package: package).checked(
            "cannot unpack the module \(file)")
        let copy = try OwnedDescriptor.open(plain, O_WRONLY | O_CREAT | O_TRUNC)
        defer { withExtendedLifetime(copy) {} }
        try writeAll(copy.number, result.output[...])
        return plain
    }
}
