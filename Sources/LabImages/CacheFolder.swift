import HostSystem

/// What the stores in the cache's folder have in common.
enum CacheFolder {
    /// Removes some of a folder's entries and returns the bytes freed. What cannot be removed stays for the next time.
    @discardableResult
    static func remove(in folder: String, where isUnwanted: (String) -> Bool) -> UInt64 {
        var freed: UInt64 = 0
        for name in (try? FileTree.names(in: folder)) ?? [] where isUnwanted(name) {
            freed += remove("\(folder)/\(name)") ?? 0
        }
        return freed
    }

    /// Removes a file or folder and returns the bytes freed; nil when it cannot be removed.
    static func remove(_ path: String) -> UInt64? {
        let space = FileTree.space(of: path)
        return (try? FileTree.remove(path)) == nil ? nil : space
    }

    /// Puts a finished folder in its place in one step. What is there goes to `aside` first.
    static func publish(_ built: String, as folder: String, aside: String) throws(SystemCallError) {
        if FileTree.exists(folder) { try FileTree.move(folder, to: aside) }
        try FileTree.move(built, to: folder)
    }
}
