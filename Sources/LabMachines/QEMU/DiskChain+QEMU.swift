import Diagnostics
import HostSystem
import JSON
import GuestControl
import LabImages
import LabSpec

extension DiskChain {
    /// The `-blockdev` node: each file with its driver, so that QEMU and its tools probe nothing.
    var node: JSONValue { .object(members) }

    /// The members of `node`.
    var members: JSONObject {
        var node: JSONObject = [:]
        for layer in layers.reversed() {
            // The backing file is given even when there is none, so that QEMU never takes it from the header.
            let backing: JSONValue = node.isEmpty ? .null : .object(node)
            node = ["driver": .string(layer.format.driver), "file": Self.file(layer.path)]
            if [.qcow2, .qed, .vmdk].contains(layer.format) { node["backing"] = backing }
            if let data = layer.data { node["data-file"] = Self.file(data) }
        }
        return node
    }

    private static func file(_ path: String) -> JSONValue { ["driver": "file", "filename": .string(path)] }

    /// The virtual size of a disk in a format that only `qemu-img` reads; nil for other formats. Throws a `Diagnostic`.
    func sizeByTool() async throws -> UInt64? {
        if [.raw, .iso, .qcow2].contains(format) { return nil }
        let report = try await Tool.run(
            "qemu-img", ["info", "--output=json", "--force-share", "json:\(node.line)"], package: "qemu-utils"
        ).checked("the disk \(path) cannot be read")
        guard let size = try? JSONValue(parsing: report.output)["virtual-size"]?.integerValue, size >= 0 else {
            throw Diagnostic(.host, "the disk \(path) does not report its size", cause: report.text)
        }
        return UInt64(size)
    }

    /// Stamps of the files under a machine's disks: a saved state is valid for exactly these.
    static func stamps(of configuration: MachineConfiguration) -> [String] {
        let files = configuration.disks.compactMap { disk -> (String, ImageDisk.Format?)? in
            if case .file(let path, let format) = disk { (path, format) } else { nil }
        }
        return (configuration.image.disks.map { ($0.path, $0.format) } + files).flatMap { path, format in
            let chain = try? DiskChain(reading: path, as: format, within: .everything)
            let beneath = (chain?.layers ?? []).flatMap { [$0.path, $0.data].compactMap { $0 } }.dropFirst()
            return beneath.map { "\($0) \(FileStamp($0)?.description ?? "")" }
        }
    }
}
