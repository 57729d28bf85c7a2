public final class RunWorkspace: Sendable {
    private let root: String
    public init(root: String) { self.root = root }
    public func makeDirectory(named: String) throws -> String {
        let path = root + "/" + named
        try FileTree.makeFolder(path)
        return path
    }
    public func removeDirectory(_ path: String) { try? FileTree.remove(path) }
}
