import Glibc

/// Whom this host asks for names, as its `/etc/resolv.conf` says.
enum HostResolver {
    /// The address of the first IPv4 name server that others can reach too; nil when the host asks itself.
    static func address(in text: String? = SmallFile.text("/etc/resolv.conf")) -> String? {
        for line in (text ?? "").split(whereSeparator: \.isNewline) {
            let words = line.split(whereSeparator: \.isWhitespace)
            guard words.count >= 2, words[0] == "nameserver" else { continue }
            let address = String(words[1])
            var parsed = in_addr()
            guard inet_pton(AF_INET, address, &parsed) == 1 else { continue }
            // The first is the one that counts; in network order, so that 127.0.0.0/8 shows in the lowest byte.
            return parsed.s_addr & 0xff == 127 || parsed.s_addr == 0 ? nil : address
        }
        return nil
    }
}
