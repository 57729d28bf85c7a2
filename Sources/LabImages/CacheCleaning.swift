/// What was removed from the cache.
package struct CacheCleaning: Sendable, Hashable {
    package var freed: UInt64 = 0
    /// Goldens that should have gone but are in use, by the names of their folders.
    package var inUse: [String] = []
    /// Images that should have gone but are in use, by their names.
    package var imagesInUse: [String] = []

    package init(freed: UInt64 = 0, inUse: [String] = [], imagesInUse: [String] = []) {
        self.freed = freed
        self.inUse = inUse
        self.imagesInUse = imagesInUse
    }

    /// Adds what another call has removed.
    package static func += (total: inout CacheCleaning, part: CacheCleaning) {
        total.freed += part.freed
        total.inUse += part.inUse
        total.imagesInUse += part.imagesInUse
    }
}

/// What a thorough look at something in the cache found.
package struct CacheFinding: Sendable {
    package let image: String
    /// The golden of it; nil for the image itself.
    package let golden: GoldenEntry?
    /// What is wrong, such as `the contents of memory have changed`; nil when nothing is.
    package let damage: String?
}
