import HostSystem
import LabSpec

/// Files of a guest that are on the host now.
public struct CollectedFiles: Sendable {
    /// Their names in the folder that they were collected into.
    public var names: [String] = []
    /// A line for each file that was left out or became something else.
    public var notes: [String] = []
}

/// A folder in a folder of results in which one archive is unpacked before its files get their names.
struct IncomingFolder: ~Copyable {
    private let place: RelativePath
    private let target: HostFolder
    /// Where to unpack.
    let folder: HostFolder

    init(in target: HostFolder) throws(SystemCallError) {
        place = RelativePath(names: [Array(".incoming-\(UInt64.random(in: .min ... .max))".utf8)])
        self.target = target
        folder = try target.makeFolder(place, mode: 0o700)
    }

    deinit { try? target.remove(place) }

    /// Gives everything in the folder its name in the target, or where that is taken the next like `name-2`; returns the
    /// names. What is alone there is called `name`, if that is given.
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

    /// A name as text; one that is not UTF-8 has its bytes beyond ASCII written as `%FF`.
    private static func text(_ name: [UInt8]) -> String {
        if let text = String(validating: name, as: UTF8.self) { return text }
        return name.map { byte in
            byte < 0x80 ? String(UnicodeScalar(byte)) : "%" + String(byte, radix: 16, uppercase: true)
        }.joined()
    }
}
