/// What clones of a saved guest renew beyond the identity that every clone gets, and the hooks that the guest itself brings. It is
/// learned before the guest is saved, so that clones of guests without any of this pay nothing for it.
public struct CloneNeeds: Sendable, Hashable, Codable {
    /// The kinds of its SSH host keys, such as `ed25519`.
    public var keys: [String] = []
    /// Whether a DHCP client has left what it remembers.
    public var hasLeases = false
    /// Programs of the guest's that each clone runs before its first task, absolute paths.
    public var hooks: [String] = []
    /// Whether the saved guest has no longer the keys and the leases: a golden forgets them, a guest that goes on keeps them.
    public var isForgotten = false

    /// No needs.
    public init() {}

    /// Reads what `learning` printed; other lines are the guest's own.
    init(_ text: String) {
        for line in text.split(whereSeparator: \.isNewline) {
            let words = line.split(separator: " ", maxSplits: 2).map(String.init)
            guard words.count == 3, words[0] == Self.mark else { continue }
            switch words[1] {
            // These become words of a command.
            case "key" where Self.kinds.contains(words[2]): keys.append(words[2])
            case "leases": hasLeases = true
            case "hook" where hooks.count < 100: hooks.append(words[2])
            default: break
            }
        }
        keys.sort { Self.rank($0) < Self.rank($1) }
    }

    /// Kinds of keys, the quickest to make first: in emulation one of RSA takes many seconds.
    private static let kinds = ["ed25519", "ecdsa", "rsa"]
    private static func rank(_ kind: String) -> Int { kinds.firstIndex(of: kind) ?? kinds.count }

    private static let mark = "vmlab-clones:"

    /// A script that prints the needs of a guest whose root folder is `root`. All its commands are the shell's own.
    static func learning(_ root: String = "") -> String {
        """
        if command -v ssh-keygen >/dev/null; then
            for f in \(root)/etc/ssh/ssh_host_*_key; do
                [ ! -f "$f" ] || { k=${f##*/ssh_host_}; echo "\(mark) key ${k%_key}"; }
            done
        fi
        for f in \(remembered(root)); do
            [ ! -f "$f" ] || { echo "\(mark) leases $f"; break; }
        done
        for f in \(root)/etc/vmlab/on-clone \(root)/etc/vmlab/on-clone.d/*; do
            [ -d "$f" ] || [ ! -x "$f" ] || echo "\(mark) hook $f"
        done
        """
    }

    /// What DHCP clients remember: leases, and the identifiers by which servers know them again.
    private static func remembered(_ root: String) -> String {
        [
            "/var/lib/dhcp/*.leases", "/var/lib/dhclient/*.lease*", "/var/lib/dhcpcd/*.lease*", "/var/lib/dhcpcd/duid",
            "/var/lib/dhcpcd/secret", "/var/lib/dhcpcd5/*.lease*", "/etc/dhcpcd.duid", "/etc/dhcpcd.secret",
            "/var/lib/NetworkManager/*.lease", "/run/systemd/netif/leases/*",
        ].map { root + $0 }.joined(separator: " ")
    }

    /// A script that has a guest forget its keys and leases; nil where there are none.
    func forgetting(_ root: String = "") -> String? {
        var lines: [String] = []
        if hasLeases {
            // A client would use, and write again, what it has in memory. vmlab gives clones their addresses itself. Clients that
            // are part of a network manager begin anew as the cards of a clone go down and come up with others' addresses.
            lines += [
                "for f in \(root)/run/dhclient*.pid \(root)/var/run/dhclient*.pid \(root)/run/dhcpcd*.pid "
                    + "\(root)/run/dhcpcd/*.pid; do",
                "    [ ! -f \"$f\" ] || { read -r p <\"$f\" && kill -9 \"$p\"; } 2>/dev/null",
                "done",
                "rm -f \(Self.remembered(root)) || exit",
            ]
        }
        if !keys.isEmpty {
            // One that is being made has its random numbers already, which all clones would share.
            lines += [
                "for p in \(root)/proc/[0-9]*; do",
                "    { read -r c <$p/comm; } 2>/dev/null && [ \"$c\" = ssh-keygen ] && kill -9 ${p##*/}",
                "done",
            ]
            lines.append("rm -f \(root)/etc/ssh/ssh_host_*_key \(root)/etc/ssh/ssh_host_*_key.pub || exit")
        }
        return lines.isEmpty ? nil : lines.joined(separator: "\n")
    }

    /// A script that has the program which makes keys in the memory of clones; nil where there are no keys.
    var warming: String? {
        keys.first.map {
            let file = "/etc/ssh/.vmlab-key"
            return "ssh-keygen -q -t \($0) -N '' -f \(file) </dev/null && rm -f \(file) \(file).pub"
        }
    }

    /// A line for the control shell that makes keys for a guest that has none; nil where it needs none. It waits for the first
    /// one, which a running server then offers; others follow when the guest has time. Its only process is the one that makes
    /// the key: a server is told by its process id, since asking an init costs more than the key.
    func making(_ root: String = "") -> String? {
        guard let first = keys.first else { return nil }
        func key(_ kind: String) -> String {
            "ssh-keygen -q -t \(kind) -N '' -f \(root)/etc/ssh/ssh_host_\(kind)_key </dev/null"
        }
        let reload = "{ read -r p <\(root)/run/sshd.pid&&kill -HUP $p;} 2>/dev/null"
        let later = keys.dropFirst().map { "nice \(key($0));" }.joined()
        return "\(key(first))&&{ \(reload)||:;}"
            + (later.isEmpty ? "" : "&&{ { \(later)\(reload);} >/dev/null 2>&1 </dev/null& }")
    }
}
