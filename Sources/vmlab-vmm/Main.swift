import Glibc
import MicroVM

@main
struct VMM {
    static func main() {
        let arguments = Array(CommandLine.arguments.dropFirst())
        exit(VMMProcess.main(arguments) { try GuestProcess($0).run() }.rawValue)
    }
}
