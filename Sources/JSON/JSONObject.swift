/// The members of a JSON object, in the order in which they were written.
///
/// Two objects are equal when they have equal members, in whatever order (RFC 8259, section 4). A key is looked up by comparing
/// it with each: objects are small.
public struct JSONObject: Sendable {
    /// One key and its value.
    public struct Member: Sendable, Hashable {
        /// The key, which no other member has.
        public var key: String
        /// What it stands for.
        public var value: JSONValue
    }

    /// All members.
    public private(set) var members: [Member] = []

    /// An object without members.
    public init() {}

    /// An object of these members, but for those whose value is nil; of a key that comes twice the last value counts.
    public init(_ members: some Sequence<(String, JSONValue?)>) {
        for (key, value) in members where value != nil { self[key] = value }
    }

    /// An object of members whose keys are known to differ.
    init(distinct members: [Member]) { self.members = members }

    /// The keys of all members.
    public var keys: [String] { members.map(\.key) }

    /// Whether it has no members.
    public var isEmpty: Bool { members.isEmpty }

    /// The value of a key; nil when there is none. A key that is set for the first time comes last; setting nil removes it.
    public subscript(_ key: String) -> JSONValue? {
        get { members.first { $0.key == key }?.value }
        set {
            let place = members.firstIndex { $0.key == key }
            switch (place, newValue) {
            case (let place?, let value?): members[place].value = value
            case (let place?, nil): members.remove(at: place)
            case (nil, let value?): members.append(Member(key: key, value: value))
            case (nil, nil): break
            }
        }
    }

    /// The members of both; where both have a key the value of the second one counts.
    public static func + (first: JSONObject, second: JSONObject) -> JSONObject {
        var sum = first
        for member in second.members { sum[member.key] = member.value }
        return sum
    }
}

extension JSONObject: Hashable {
    /// Whether both have the same members.
    public static func == (left: JSONObject, right: JSONObject) -> Bool {
        left.members.count == right.members.count && Set(left.members) == Set(right.members)
    }

    /// As equality wants it.
    public func hash(into hasher: inout Hasher) { hasher.combine(Set(members)) }
}

extension JSONObject: ExpressibleByDictionaryLiteral {
    /// An object of these members, but for those whose value is nil; of a key that is written twice the last value counts.
    public init(dictionaryLiteral elements: (String, JSONValue?)...) { self.init(elements) }
}
