/// 64-bit FNV-1a, to distinguish names and to detect torn files and any single differing byte. Stored in file names and snapshots.
/// Not collision-resistant against an attacker.
public func fnv1a(_ bytes: some Sequence<UInt8>) -> UInt64 {
    bytes.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
}
