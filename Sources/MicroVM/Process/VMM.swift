import Diagnostics
import Glibc
import HostSystem

/// The program vmlab-vmm.
public enum VMM {
    /// Does what a command line (without the program's name) asks for, says on standard error what goes wrong, and returns the
    /// exit status.
    public static func main(_ arguments: [String]) -> ExitStatus {
        do {
            switch try VMMCommand.parse(arguments) {
            case .print(let text):
                say(text, on: 1)
                return .poweredOff
            case .run(let configuration):
                return try GuestProcess(configuration).run()
            }
        } catch let problems as DiagnosticList {
            say(problems.rendered(), on: 2)
            return .usage
        } catch let error as BootError {
            say(Diagnostic(.specification, "the guest cannot be booted", cause: "\(error)").rendered(), on: 2)
            return .usage
        } catch let error as SystemCallError {
            say(error.diagnostic("the machine cannot be made").rendered(), on: 2)
            return .hostTrouble
        } catch {
            say(Diagnostic(.host, "the machine cannot be made", cause: "\(error)").rendered(), on: 2)
            return .hostTrouble
        }
    }

    private static func say(_ text: String, on descriptor: Int32) {
        let line = Array((text + "\n").utf8)
        _ = write(descriptor, line, line.count)
    }
}
