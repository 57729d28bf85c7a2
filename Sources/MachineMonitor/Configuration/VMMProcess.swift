import Diagnostics
import Glibc
import HostSystem
import MicroVM
import QMP

/// The life of a `vmlab-vmm` process around its machine.
package enum VMMProcess {
    /// Reads the command line, has `run` run the machine, and says on standard error why it could not. Returns what the
    /// process ends with.
    package static func main(
        _ arguments: [String], run: (VMConfiguration) throws -> VMMExitStatus
    ) -> VMMExitStatus {
        do {
            switch try VMMCommand.parse(arguments) {
            case .print(let text):
                print(text)
                return .poweredOff
            case .run(let configuration):
                return try run(configuration)
            }
        } catch {
            let list = error as? DiagnosticList ?? DiagnosticList([diagnostic(error)])
            complain(list.rendered())
            return list.all.allSatisfy { $0.category == .specification } ? .usage : .hostTrouble
        }
    }

    private static func diagnostic(_ error: any Error) -> Diagnostic {
        switch error {
        case let error as Diagnostic: error
        case let error as BootError:
            Diagnostic(.specification, "the guest cannot be booted", cause: "\(error)")
        case let error as SnapshotError: Diagnostic(.host, "\(error)")
        case let error as SystemCallError: error.diagnostic("the machine cannot run")
        default: Diagnostic(.host, "the machine cannot run", cause: "\(error)")
        }
    }

    /// Says something on standard error, a line by itself.
    static func complain(_ text: String) {
        let line = Array("vmlab-vmm: \(text)\n".utf8)
        _ = write(2, line, line.count)
    }
}

/// What `vmlab-vmm` ends with. Part of its interface: README.md describes it.
package enum VMMExitStatus: Int32, Sendable, Hashable {
    /// The guest powered itself off, or its owner ended it: `quit`, a signal, Ctrl-A x.
    case poweredOff = 0
    /// The guest's kernel panicked and it did not go on, or a processor met an error it cannot go on from.
    case guestFailed = 1
    /// The command line or the configuration is wrong; also a kernel that is none.
    case usage = 2
    /// The host lacks something or refused it: `/dev/kvm`, memory, a file, a socket.
    case hostTrouble = 3
}
