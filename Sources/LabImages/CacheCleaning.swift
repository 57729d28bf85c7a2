/// What was removed from the cache.
public struct CacheCleaning: Sendable, Hashable {
    /// Bytes on disk.
    public var freed: UInt64 = 0
    /// Goldens that should have gone but are in use, by the names of their folders.
    public var inUse: [String] = []
    /// Images that should have gone but are in use, by their names.
    public var imagesInUse: [String] = []

    /// So much.
    public init(freed: UInt64 = 0, inUse: [String] = [], imagesInUse: [String] = []) {
        self.freed = freed
        self.inUse = inUse
        self.imagesInUse = imagesInUse
    }

    /// Adds what another call has removed.
    public static func += (total: inout CacheCleaning, part: CacheCleaning) {
        total.freed += part.freed
        total.inUse += part.inUse
        total.imagesInUse += part.imagesInUse
    }
}

/// What a thorough look at something in the cache found.
public struct CacheFinding: Sendable {
    /// The image's name.
    public let image: String
    /// The golden of it; nil for the image itself.
    public let golden: GoldenEntry?
    /// What is wrong, such as `the contents of memory have changed`; nil when nothing is.
    public let damage: String?
}
