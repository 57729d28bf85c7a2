/// What cmd.exe needs for vmlab's `cmd` dialect.
extension Session {
    /// Runs one line.
    mutating func runBatchLine(_ text: Bytes) {
    }
}
