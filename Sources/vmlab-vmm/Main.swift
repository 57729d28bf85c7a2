import Glibc
import MachineMonitor

@main
struct VMM {
    static func main() {
        let arguments = Array(CommandLine.arguments.dropFirst())
        exit(VMMProcess.main(arguments) { try GuestProcess($0).run() }.rawValue)
    }
}
