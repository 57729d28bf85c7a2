import LabCommands

@main
enum VMLab {
    static func main() async {
        await VMLabCommand.start()
    }
}
