import HostSystem
import LabSpec

/// Files that were copied from a guest to the host.
public struct CollectedFiles: Sendable {
    /// Their names in the destination folder.
    public var names: [String] = []
    /// A line for each file that was skipped or changed.
    public var notes: [String] = []
}

/// A folder next to the results, into which an archive is unpacked before its files get their final names.
struct IncomingFolder: ~Copyable {
    private let place: RelativePath
    private let target: HostFolder
    let folder: HostFolder

    init(in target: HostFolder) throws(SystemCallError) {
        place = RelativePath(names: [Array(".incoming-\(UInt64.random(in: .min ... .max))".utf8)])
        self.target = target
        folder = try target.makeFolder(place, mode: 0o700)
    }

    deinit { try? target.remove(place) }

    /// Moves everything in the folder to the target, under its name or, if that is taken, the next such as `name-2`; returns
    /// the names. A single file is called `name`, if given.
    func deliver(as name: [UInt8]?) throws(SystemCallError) -> [String] {
        var names: [String] = []
        let entries = try folder.names().sorted { $0.lexicographicallyPrecedes($1) }
        for entry in entries {
            let wanted = Self.text(entries.count == 1 ? name ?? entry : entry)
            var (free, number) = (wanted, 1)
            while try !folder.move(
                RelativePath(names: [entry]), to: target, RelativePath(names: [Array(free.utf8)]), replacing: false)
            {
                number += 1
                free = "\(wanted)-\(number)"
            }
            names.append(free)
        }
        return names
    }

    /// A name as text; in one that is not UTF-8 the bytes beyond ASCII become `%FF`.
    private static func text(_ name: [UInt8]) -> String {
        if let text = String(validating: name, as: UTF8.self) { return text }
        return name.map { byte in
            byte < 0x80 ? String(UnicodeScalar(byte)) : "%" + String(byte, radix: 16, uppercase: true)
        }.joined()
    }
}
