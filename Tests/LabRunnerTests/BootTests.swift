import Diagnostics
import GuestConsole
import HostSystem
import LabResults
import LabTestSupport
import Testing

@testable import LabSpec

/// Guests that do not come up are told by name and at once, not at their boot deadline.
@Suite(.timeLimit(.minutes(2)))
struct BootTests {
    /// A lab of one guest that never greets and has ten minutes to boot.
    private func lab(boot: Duration = .seconds(600), ports: Int = 2, says: ShellMachine.Boot = .silent) -> TestLab {
        var lab = TestLab(tasks: [task("t")], timeouts: Timeouts(boot: boot, task: .seconds(20)))
        lab.backend = ShellBackend { _, _ in .boots(says) }
        lab.image.console = ConsoleSpec(announces: ports == 2, ports: ports)
        return lab
    }

    private func failure(
        of lab: TestLab, _ play: @escaping @Sendable (ShellMachine, ManualClock) async throws -> Void
    ) async throws -> (outcome: Outcome, message: String) {
        let clock = ManualClock()
        var lab = lab
        lab.clock = clock
        let run = try await lab.run { [backend = lab.backend] _ in try await play(backend.machine("g"), clock) }
        #expect(run.status == .infrastructure)
        for case .guestFailed(_, let outcome, let message, _) in run.events { return (outcome, message) }
        return (.passed, "no guest failed")
    }

    /// Returns when the guest's kernel has said `text` and that was looked at.
    private static func say(_ text: String, _ machine: ShellMachine) async throws {
        machine.kernel.say(text)
        #expect(try await eventually { machine.kernel.isDrained })
    }

    @Test("A12: a guest that resets for ever")
    func resets() async throws {
        let (outcome, message) = try await failure(of: lab()) { machine, _ in
            for _ in 1...BootWatch.mostResets { machine.report(.reset) }
        }
        #expect(outcome == .error)
        #expect(message.contains("resets over and over: 5 times in "))
    }

    @Test("A12: a guest that prints nothing", arguments: [1, 2])
    func silence(ports: Int) async throws {
        // Of which a half is silence enough.
        let (_, message) = try await failure(of: lab(ports: ports)) { try await $1.fire(after: .seconds(300)) }
        #expect(message.hasPrefix("the guest has printed nothing on its console in ") && message.contains("remedy: "))
    }

    @Test("A12: trouble of the boot on the kernel's console", arguments: [1, 2])
    func initramfs(ports: Int) async throws {
        let (outcome, message) = try await failure(of: lab(boot: .seconds(60), ports: ports)) { machine, clock in
            try await Self.say("ALERT!  /dev/vda1 does not exist.  Dropping to a shell!\n(initramfs) ", machine)
            while true { try await clock.fireNext(within: .seconds(10)) }
        }
        #expect(outcome == .error)
        #expect(message.contains("initial RAM disk did not find") && message.contains("check `root=`"))
    }

    @Test("A12: a kernel that cannot mount its root file system")
    func noRoot() async throws {
        let (outcome, message) = try await failure(of: lab()) { machine, clock in
            let panic = "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\n"
            try await Self.say(panic, machine)
            machine.report(.panicked("the guest reported a kernel panic"))
            // What it may still have to say.
            while true { try await clock.fireNext(within: .seconds(1)) }
        }
        #expect(outcome == .panicked)
        #expect(message.contains("unknown-block(0,0)") && message.contains("root=/dev/vda1"))
    }

    @Test("A12: what is said at the deadline tells how far the guest came")
    func deadline() async throws {
        let (_, message) = try await failure(of: lab()) { machine, clock in
            try await Self.say("[    0.000000] Linux version 6.1.0\n", machine)
            while true { try await clock.fireNext(within: .seconds(600)) }
        }
        #expect(
            message
                == "the guest did not become ready before its boot deadline: its kernel started, and no program after it "
                + "has used the console")
    }

    @Test("A12: a login prompt on the first port, where commands are awaited on the second")
    func wrongPort() async throws {
        let (_, message) = try await failure(of: lab()) { machine, clock in
            try await Self.say("box login: ", machine)
            while true { try await clock.fireNext(within: .seconds(600)) }
        }
        #expect(message.contains("`ports: 1`"))
    }
}
