/// A folder of the guest for one command that has an input or whose standard error is kept apart.
public struct CommandFolder: Sendable {
    /// Absolute; no shell needs to quote it. Made when it is missing, and removed at the end unless it keeps standard error.
    public let path: String
    /// A file with the command's input; nil for an empty input.
    public var input: String?
    /// How much of standard error is kept in the folder's file `stderr`, roughly and in bytes; nil leaves it in the output alone.
    public var errorLimit: Int?
    /// The nonce of the command's end marker, which is also the end of what it has written to standard error.
    let nonce = Nonce()

    /// A folder as given.
    public init(_ path: String, input: String? = nil, errorLimit: Int? = nil) {
        self.path = path
        self.input = input
        self.errorLimit = errorLimit
    }
}
