import HostSystem

/// A release of Debian that the catalog has.
package enum DebianRelease: String, Sendable, Hashable, CaseIterable {
    case bullseye, bookworm, trixie, sid

    /// What people call it: a number, or `sid`.
    package var number: String {
        switch self {
        case .bullseye: "11"
        case .bookworm: "12"
        case .trixie: "13"
        case .sid: "sid"
        }
    }

    /// The suites of its sources: those of the archive, and those of the security archive.
    var suites: (archive: [String], security: [String]) {
        self == .sid ? ([rawValue], []) : ([rawValue, "\(rawValue)-updates"], ["\(rawValue)-security"])
    }

    /// Whether it has a package that an image asks for; of others all have all.
    func has(_ package: String) -> Bool { self != .bullseye || package != "usr-is-merged" }

    /// What the image `debian` is: the host's own release, whose packages are likely to be near, else the present stable one.
    package static let usual = DebianRelease(osRelease: SmallFile.text("/etc/os-release") ?? "") ?? .trixie

    /// The release that an os-release(5) file names; nil for others and for other systems.
    init?(osRelease: String) {
        var values: [Substring: Substring] = [:]
        for line in osRelease.split(separator: "\n") {
            let parts = line.split(separator: "=", maxSplits: 1)
            if parts.count == 2 { values[parts[0]] = parts[1].trimming { $0 == "\"" } }
        }
        guard values["ID"] == "debian", let name = values["VERSION_CODENAME"] else { return nil }
        self.init(rawValue: String(name))
    }
}

extension Substring {
    fileprivate func trimming(_ isUnwanted: (Character) -> Bool) -> Substring {
        var text = self
        while let first = text.first, isUnwanted(first) { text.removeFirst() }
        while let last = text.last, isUnwanted(last) { text.removeLast() }
        return text
    }
}
