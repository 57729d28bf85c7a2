import GuestControl
import Hashing

extension GoldenKey {
    /// A SHA-256 in hexadecimal: equal hashes, equal keys.
    var hash: String {
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
