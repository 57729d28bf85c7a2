import Diagnostics
import LabSpec
public struct ImageEntry: Sendable { public var name: String; public var os: GuestOS; public var isBuilt: Bool; public var size: UInt64?; public var kernel: String? }
public struct ImageStore: Sendable {
    public static let defaultDirectory = "/root/.cache/vmlab"
    public init() throws {}
    public func list() -> [ImageEntry] { [] }
    public func image(named: String, progress: @escaping @Sendable (String, Double?) -> Void) async throws -> BootableImage {
        let p = "/tmp/img/\(named)"
        if named == "wine" {
            return BootableImage(name: named, id: "0123456789abcdef", os: .windows, kernel: p + "/kernel", initrd: p + "/initrd", disks: [ImageDisk(path: p + "/root.squashfs", format: .raw, serial: "vmlab-root", readOnly: true)], cmdline: "console=ttyS0 quiet", console: ConsoleSpec(dialect: .cmd))
        }
        return BootableImage(name: named, id: "0123456789abcdef", os: .linux, kernel: p + "/kernel", initrd: p + "/initrd", cmdline: "console=ttyS0 loglevel=5 cryptomgr.notests noreplace-smp")
    }
    public func remove(_ name: String) async throws {}
    public func prune() async throws -> UInt64 { 0 }
}
public enum ImageCatalog {
    public static let names = ["debian", "wine"]
    public static func facts(of lab: Lab) -> ([String: ImageFacts], [Diagnostic]) {
        (["debian": ImageFacts(os: .linux, defaultMemory: .mebibytes(256), minimumMemory: .mebibytes(64)), "wine": ImageFacts(os: .windows, defaultMemory: .mebibytes(256), minimumMemory: .mebibytes(64))], [])
    }
}
