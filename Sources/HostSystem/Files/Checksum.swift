/// FNV-1a of 64 bits: tells names apart, and finds torn files and any single byte that differs. It is on disk in file names and
/// snapshots. Whoever wants to makes two texts with the same one.
public func fnv1a(_ bytes: some Sequence<UInt8>) -> UInt64 {
    bytes.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
}
