public final class RunWorkspace: Sendable {
    public func makeDirectory(named: String) throws -> String { "" }
    public func removeDirectory(_ path: String) {}
}
