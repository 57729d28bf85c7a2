public final class ConsoleLog: Sendable {
    public init(onLine: @escaping @Sendable (ArraySlice<UInt8>) -> Void) {}
    public func append(_ b: ArraySlice<UInt8>) -> [PanicDetector.Finding] { [] }
    public func finish() {}
    public var tail: [String] { [] }
}
public struct PanicDetector { public struct Finding: Sendable { public var isFatal: Bool; public var summary: String; public var excerpt: [String] } }
