import Glibc
import GuestConsole
import Testing

/// What a command costs on a Linux guest that waits at its shell, by hand, in a release build:
/// `VMLAB_TEST_CHANNEL=/path/of/com2 swift test -c release --filter CommandCostTests`.
@Suite(.enabled(if: getenv("VMLAB_TEST_CHANNEL") != nil, "no guest is given in VMLAB_TEST_CHANNEL"))
struct CommandCostTests {
    @Test func manySmallCommands() async throws {
        let path = try #require(getenv("VMLAB_TEST_CHANNEL").map { String(cString: $0) })
        let session = CommandSession(channel: try DescriptorChannel(path: path), dialect: .sh)
        defer { session.close() }
        try await session.open(atShell: true, deadline: .after(.seconds(10)))
        var times: [Duration] = []
        for _ in 0..<200 {
            times.append(try await session.run(GuestCommand("uname -a"), deadline: .after(.seconds(20))).duration)
        }
        times.sort()
        let total = times.reduce(.zero, +)
        print("command: median \(times[times.count / 2]), mean \(total / times.count), least \(times[0])")
    }
}
