import MicroVM

@main
struct VMM {
    static func main() throws { try stubRun(CommandLine.arguments) }
}
