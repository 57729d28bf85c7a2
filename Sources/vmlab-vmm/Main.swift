import MicroVM

@main
struct VMM {
    static func main() {}
}
