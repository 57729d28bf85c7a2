import Glibc
import MicroVM

@main
struct Main {
    static func main() {
        exit(VMM.main(Array(CommandLine.arguments.dropFirst())).rawValue)
    }
}
