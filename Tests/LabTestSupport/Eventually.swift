/// Calls `body` until it says yes, for at most a minute; says whether it did. For what the kernel does in its own time.
public func eventually(_ body: () async throws -> Bool) async throws -> Bool {
    let deadline = ContinuousClock.now + .seconds(60)
    while ContinuousClock.now < deadline {
        if try await body() { return true }
        try await Task.sleep(for: .milliseconds(5))
    }
    return false
}
