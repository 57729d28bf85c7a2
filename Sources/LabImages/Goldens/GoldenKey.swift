import Hashing

/// What a golden's contents depend on. Any change makes another golden.
package struct GoldenKey: Sendable, Hashable, Codable {
    /// One thing that they depend on, such as the memory of the guest.
    package struct Fact: Sendable, Hashable, Codable {
        /// What it is, such as `memory`.
        package let name: String
        /// Its value, such as `128MiB`.
        package let value: String
    }

    /// The image's name in the lab.
    package let image: String
    /// The image's id: that of its contents.
    package let imageID: String
    /// All else, in the order given. Short ones tell people what shape the guest has.
    package let facts: [Fact]

    /// A key as given.
    package init(image: String, imageID: String, facts: [(name: String, value: String)]) {
        self.image = image
        self.imageID = imageID
        self.facts = facts.map { Fact(name: $0.name, value: $0.value) }
    }

    /// A SHA-256 in hexadecimal: equal hashes, equal keys.
    package var hash: String {
        let texts = [image, imageID] + facts.flatMap { [$0.name, $0.value] }
        return SHA256.hex(texts.map { "\($0.utf8.count) \($0)\n" }.joined())
    }

    /// The guest's shape in words, such as `memory 128MiB, cpus 1`: what is said in few letters.
    package var shape: String {
        facts.filter { (1...16).contains($0.value.count) }.map { "\($0.name) \($0.value)" }.joined(separator: ", ")
    }

    /// What its folder is called. The manifest in it has the whole key.
    var name: String {
        // Names of images have no other characters; a caller's mistake must not lead out of the cache.
        let safe = image.prefix(64).map { $0.isASCII && ($0.isLetter || $0.isNumber || "._-".contains($0)) ? $0 : "_" }
        return "\(String(safe))-\(hash.prefix(16))"
    }
}
