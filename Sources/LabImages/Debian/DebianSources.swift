import HostSystem

/// Where a release's packages come from, and the signatures that are believed.
struct DebianSources: Sendable, Hashable {
    var release: DebianRelease
    /// The address of the archive, and that of its security updates.
    var archive = "http://deb.debian.org/debian"
    var security = "http://deb.debian.org/debian-security"

    /// The keys of all releases, of the package `debian-archive-keyring`; at the same path on the host and in guests.
    static let keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

    /// The mirrors that the host uses for its own release, else Debian's. `targets` are lines of `apt-get indextargets` in
    /// the form of `targetFormat`.
    init(_ release: DebianRelease, targets: String) {
        self.release = release
        for line in targets.split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.count == 2, words[1].hasPrefix("http") || words[1].hasPrefix("file:") else { continue }
            let address = String(words[1].hasSuffix("/") ? words[1].dropLast() : words[1])
            for host in DebianRelease.allCases {
                if host.suites.security.contains(String(words[0])) {
                    security = address
                } else if host.suites.archive.first == String(words[0]) {
                    archive = address
                }
            }
        }
    }

    static let targetFormat = "$(RELEASE) $(REPO_URI)"

    /// The file of apt's sources, in the form of sources.list(5) that is called deb822.
    var text: String {
        func source(_ address: String, _ suites: [String]) -> String {
            """
            Types: deb
            URIs: \(address)
            Suites: \(suites.joined(separator: " "))
            Components: main
            Signed-By: \(Self.keyring)

            """
        }
        let (archives, securities) = release.suites
        return source(archive, archives) + (securities.isEmpty ? "" : "\n" + source(security, securities))
    }
}
