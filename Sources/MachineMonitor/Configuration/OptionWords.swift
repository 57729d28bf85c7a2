import Diagnostics
import QMP

/// A comma-separated option value, such as `path,serial=root,readonly`. A comma within a word is doubled.
struct OptionWords {
    private var words: [String]

    init(_ text: String) {
        words = [""]
        var rest = text[...]
        while let character = rest.popFirst() {
            if character != "," {
                words[words.count - 1].append(character)
            } else if rest.first == "," {
                rest.removeFirst()
                words[words.count - 1].append(",")
            } else {
                words.append("")
            }
        }
    }

    /// Takes the first word, whatever it is.
    mutating func first() -> String { words.removeFirst() }

    /// Takes the value of `key=value`; nil when there is none.
    mutating func value(_ key: String) -> String? {
        guard let index = words.firstIndex(where: { $0.hasPrefix("\(key)=") }) else { return nil }
        return String(words.remove(at: index).dropFirst(key.count + 1))
    }

    /// Takes a word; false when it is absent.
    mutating func flag(_ word: String) -> Bool {
        guard let index = words.firstIndex(of: word) else { return false }
        words.remove(at: index)
        return true
    }

    /// Throws when an unknown word is left.
    func finish(known: [String]) throws(CommandLineProblem) {
        guard let word = words.first else { return }
        let key = String(word.prefix { $0 != "=" })
        throw CommandLineProblem(
            "has the unexpected word \(word.quoted())",
            remedy: didYouMean(key, known) ?? "the words are \(known.joined(separator: ", ")), each once")
    }
}

extension VMConfiguration.Disk {
    /// From `PATH[,serial=S][,readonly][,overlay=FILE]`.
    init(words text: String) throws(CommandLineProblem) {
        var words = OptionWords(text)
        self.init(path: words.first())
        serial = words.value("serial") ?? ""
        readOnly = words.flag("readonly")
        overlay = words.value("overlay")
        try words.finish(known: ["serial=", "readonly", "overlay="])
    }
}

extension VMConfiguration.Network {
    /// From `local=SOCKET,remote=SOCKET[,mac=ADDRESS]` or `tap=NAME[,mac=ADDRESS]`. Default addresses are QEMU's, by card number.
    init(words text: String, number: Int) throws(CommandLineProblem) {
        var words = OptionWords(text)
        let last = String(0x56 &+ UInt8(truncatingIfNeeded: number), radix: 16)
        let mac = words.value("mac") ?? "52:54:00:12:34:\(last.count < 2 ? "0" : "")\(last)"
        switch (words.value("tap"), words.value("local"), words.value("remote")) {
        case (let tap?, nil, nil): self.init(mac: mac, link: .tap(tap))
        case (nil, let local?, let remote?): self.init(mac: mac, link: .sockets(local: local, remote: remote))
        default:
            throw CommandLineProblem(
                "is not connected", remedy: "write tap=NAME, or local=SOCKET,remote=SOCKET")
        }
        try words.finish(known: ["local=", "remote=", "tap=", "mac="])
    }
}
