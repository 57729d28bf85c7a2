import InMemoryLogging
import Logging

/// What a test's own work logs. A process can set up logging only once, so the tests of all targets share this.
public enum CapturedLog {
    @TaskLocal private static var handler: InMemoryLogHandler?

    private static let isSetUp: Void = LoggingSystem.bootstrap { (_: String) -> any LogHandler in
        if let handler { handler } else { SwiftLogNoOpLogHandler() }
    }

    /// Runs `body`, and returns what was logged by those whom it made, at any level, in order.
    public static func records(of body: () async throws -> Void) async rethrows -> [InMemoryLogHandler.Entry] {
        _ = isSetUp
        var handler = InMemoryLogHandler()
        handler.logLevel = .trace
        try await $handler.withValue(handler) { try await body() }
        return handler.entries
    }
}
