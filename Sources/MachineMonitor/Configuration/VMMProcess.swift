import Diagnostics
import Glibc
import HostSystem
import MicroVM
import QMP

/// The life of a `vmlab-vmm` process around its machine.
package enum VMMProcess {
    /// Parses the command line, runs the machine with `run`, and prints errors on standard error. Returns the exit status.
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

    static func complain(_ text: String) {
        let line = Array("vmlab-vmm: \(text)\n".utf8)
        _ = write(2, line, line.count)
    }
}

/// The exit status of `vmlab-vmm`. Part of its interface: README.md describes it.
package enum VMMExitStatus: Int32, Sendable, Hashable {
    /// The guest powered itself off, or its owner ended it: `quit`, a signal, Ctrl-A x.
    case poweredOff = 0
    /// The guest's kernel panicked and did not recover, or a vCPU met a fatal error.
    case guestFailed = 1
    /// The command line or the configuration is wrong, or the kernel file is not a kernel.
    case usage = 2
    /// The host lacks or refused a resource: `/dev/kvm`, memory, a file, a socket.
    case hostTrouble = 3
}
