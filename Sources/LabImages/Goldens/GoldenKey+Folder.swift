import GuestControl
import Hashing

extension GoldenKey {
    /// The key's SHA-256 in hexadecimal.
    var hash: String {
        let texts = [image, imageID] + facts.flatMap { [$0.name, $0.value] }
        return SHA256.hex(texts.map { "\($0.utf8.count) \($0)\n" }.joined())
    }

    /// The guest's shape as text, such as `memory 128MiB, cpus 1`, limited to short facts.
    package var shape: String {
        facts.filter { (1...16).contains($0.value.count) }.map { "\($0.name) \($0.value)" }.joined(separator: ", ")
    }

    /// The name of its folder. The manifest inside has the whole key.
    var name: String {
        // Image names have no other characters; a caller's error must not lead out of the cache.
        let safe = image.prefix(64).map { $0.isASCII && ($0.isLetter || $0.isNumber || "._-".contains($0)) ? $0 : "_" }
        return "\(String(safe))-\(hash.prefix(16))"
    }
}
