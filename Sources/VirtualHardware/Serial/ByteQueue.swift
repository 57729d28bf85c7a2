/// Bytes in the order they came, at most `limit` of them.
struct ByteQueue: Sendable {
    /// The most it holds.
    let limit: Int
    private var storage: [UInt8] = []
    private var head = 0

    init(limit: Int) {
        self.limit = max(limit, 1)
    }

    var count: Int { storage.count - head }
    var isEmpty: Bool { head == storage.count }
    var room: Int { limit - count }

    /// Adds as many as there is room for, and says how many that were.
    mutating func append(_ bytes: some Collection<UInt8>) -> Int {
        let accepted = min(bytes.count, room)
        // What was taken out goes before the storage would grow: it never holds more than `limit`.
        if storage.count + accepted > limit {
            storage.removeFirst(head)
            head = 0
        }
        storage.append(contentsOf: bytes.prefix(accepted))
        return accepted
    }

    mutating func popFirst() -> UInt8? {
        guard head < storage.count else { return nil }
        let byte = storage[head]
        head += 1
        if head == storage.count { removeAll() }
        return byte
    }

    mutating func removeAll() {
        storage.removeAll(keepingCapacity: true)
        head = 0
    }
}
