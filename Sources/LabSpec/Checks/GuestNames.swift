import Diagnostics

/// The guests of a lab by name, and the meaning of `on:`.
struct GuestNames {
    /// Guests of each group.
    private var groups: [String: [String]] = [:]
    /// The group of each guest.
    private var guests: [String: String] = [:]
    /// Every guest in the order of the file.
    private(set) var everyone: [String] = []
    /// Names under `guests:`, also of groups that were refused.
    private let declared: [String]
    /// Groups whose `count` was refused.
    private let uncounted: Set<String>

    /// Reports guests that share a name, and fleets beyond the limit.
    init(_ all: [GuestGroup], declared: [String], uncounted: Set<String>, _ decoding: Decoding) {
        self.declared = declared
        self.uncounted = uncounted
        let names = Set(all.map(\.name))
        for group in all {
            guard everyone.count + (group.count ?? 1) <= Limits.guests else {
                decoding.error(
                    "the lab has more than \(Limits.guests) guests", remedy: "lower the counts", at: group.span)
                break
            }
            let members = group.guests.map(\.name)
            for member in members {
                if member != group.name, names.contains(member) {
                    decoding.error(
                        "\(member.quoted()) would be a group and also a guest of the group \(group.name.quoted())",
                        remedy: "rename one group", at: group.span)
                } else if member != group.name, let other = guests[member] {
                    decoding.error(
                        "the groups \(other.quoted()) and \(group.name.quoted()) both have a guest \(member.quoted())",
                        remedy: "rename one group", at: group.span)
                }
                guests[member] = group.name
            }
            if let last = members.last, last.utf8.count > Names.longest {
                decoding.error(
                    "the guest name \(last.quoted()) is longer than \(Names.longest) characters",
                    remedy: "shorten the group's name", at: group.span)
            }
            groups[group.name] = members
            everyone += members
        }
    }

    /// The targets of a task's `on:`; every guest when it has none.
    func targets(of task: TaskDraft, _ decoding: Decoding) -> [TaskTarget] {
        guard let words = task.on else {
            return task.place.keys["on"] == nil ? [.every(everyone)] : []
        }
        checkRepeated(words, decoding)
        return words.compactMap { target($0, decoding) }
    }

    /// Reports a guest that a list names twice, by itself or by its group.
    private func checkRepeated(_ words: [Located<String>], _ decoding: Decoding) {
        var named: Set<String> = []
        var groupsOfNamed: Set<String> = []
        for word in words {
            let name = word.value
            let isRepeated: Bool
            if groups[name] != nil {
                isRepeated = groupsOfNamed.contains(name) || !named.insert(name).inserted
            } else if let group = guests[name] {
                isRepeated = named.contains(group) || !named.insert(name).inserted
                groupsOfNamed.insert(group)
            } else {
                continue
            }
            if isRepeated {
                decoding.error(
                    "\(name.quoted()) names guests that are in the list already", remedy: "name each guest once",
                    at: word.span)
            }
        }
    }

    /// `lin`, `lin-1`, `any lin`, or `any` alone for whichever guest of all.
    private func target(_ word: Located<String>, _ decoding: Decoding) -> TaskTarget? {
        let parts = word.value.split(whereSeparator: \.isWhitespace)
        switch parts.count {
        case 1:
            let name = String(parts[0])
            if name == "any", groups[name] == nil, guests[name] == nil { return .any(everyone) }
            return members(name, at: word.span, decoding).map { .every($0) }
        case 2 where parts[0] == "any":
            return members(String(parts[1]), at: word.span, decoding).map { .any($0) }
        default:
            return decoding.refuse(
                "\(word.value.quoted()) names no guest or group",
                remedy: "write a guest, a group, `any <group>` or a list: `[a, b]`", at: word.span)
        }
    }

    private func members(_ name: String, at span: SourceSpan, _ decoding: Decoding) -> [String]? {
        if let members = groups[name] { return members }
        if guests[name] != nil { return [name] }
        // A group that was refused is not unknown, nor are its guests.
        let isRefused = declared.contains {
            $0 == name || $0.hasExpression
                || ((groups[$0] == nil || uncounted.contains($0)) && name.hasPrefix($0 + "-"))
        }
        guard !isRefused else { return nil }
        var remedy = decoding.didYouMean(name, declared)
        if let dash = name.lastIndex(of: "-"), let members = groups[String(name[..<dash])], let last = members.last,
            Int(name[name.index(after: dash)...]) != nil
        {
            remedy =
                members.count == 1 && last == name[..<dash]
                ? "\(last.quoted()) has no `count`, so it is one guest of that name"
                : "the group has \(members[0].quoted()) to \(last.quoted())"
        }
        return decoding.refuse(
            "there is no guest or group \(name.quoted())",
            remedy: remedy ?? (declared.isEmpty ? nil : "groups: \(declared.listed)"), at: span)
    }
}
