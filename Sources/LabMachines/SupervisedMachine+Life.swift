import HostSystem

extension SupervisedMachine {
    /// Between two looks at the processors.
    private static let interval = Duration.milliseconds(100)

    /// As the engine asks: a processor that is in a guest's program is at privilege level 3, and one that has nothing to do has
    /// its thread sleep. A kernel that turns in a loop does neither, however little of this host's processors it gets.
    func showsLife(within time: Duration) async -> Bool {
        let deadline = ContinuousClock.now + time
        var looks = 0
        var rests = 0
        while ContinuousClock.now < deadline {
            looks += 1
            if !ProcessTable().isRunning(processID) { rests += 1 }
            if await isInProgram { return true }
            guard (try? await Task.sleep(for: Self.interval)) != nil else { return false }
        }
        // A moment's sleep may be a wait for a lock.
        return rests * 2 > looks && ProcessTable().startTime(of: processID) != nil
    }

    private var isInProgram: Bool {
        get async {
            let answer = try? await monitor.execute(
                "human-monitor-command", ["command-line": "info registers -a"], timeout: .seconds(1))
            return answer?.stringValue?.contains("CPL=3") == true
        }
    }
}
