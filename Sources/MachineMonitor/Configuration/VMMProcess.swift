import Diagnostics
import Glibc
import HostSystem
import MicroVM
import QMP

/// The life of a `vmlab-vmm` process around its machine.
public enum VMMProcess {
    /// Reads the command line, has `run` run the machine, and says on standard error why it could not. Returns what the
    /// process ends with.
    public static func main(
        _ arguments: [String], run: (VMConfiguration) throws -> ExitStatus
    ) -> ExitStatus {
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
