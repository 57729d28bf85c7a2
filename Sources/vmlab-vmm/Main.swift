import Glibc
import MicroVM

@main
struct VMM {
    static func main() {
        exit(VMMProcess.main(Array(CommandLine.arguments.dropFirst()), run: run).rawValue)
    }
}
