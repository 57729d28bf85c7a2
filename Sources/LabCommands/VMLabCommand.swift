import ArgumentParser

/// The `vmlab` command: composes the verbs.
public struct VMLabCommand: AsyncParsableCommand {
    /// Name, one-line summary and the verbs.
    public static let configuration = CommandConfiguration(
        commandName: "vmlab",
        abstract: "Run labs of Linux and Windows-like virtual machines."
    )

    /// Made by the argument parser.
    public init() {}
}
