import Logging

extension Logger {
    /// A logger whose records name this guest.
    public init(label: String, guest: String) {
        self.init(label: label)
        self[metadataKey: "guest"] = "\(guest)"
    }
}
