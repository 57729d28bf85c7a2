import Glibc
public final class RunWorkspace: Sendable {
    let path: String
    init(path: String) { self.path = path }
    public static func create(lab: String, results: String) throws -> RunWorkspace {
        let p = "/tmp/vmlab-0/\(getpid())"; try FileTree.makeFolder(p); return RunWorkspace(path: p)
    }
    public func makeDirectory(named: String) throws -> String { try FileTree.makeFolder(path + "/" + named); return path + "/" + named }
    public func removeDirectory(_ path: String) { try? FileTree.remove(path) }
    public func close() async { try? FileTree.remove(path) }
}
public enum SignalWatcher { public static func terminations() -> AsyncStream<Int32> { AsyncStream { _ in } } }
