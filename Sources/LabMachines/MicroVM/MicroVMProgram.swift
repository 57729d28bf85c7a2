import Diagnostics
import Glibc
import HostSystem

/// The location of vmlab's own virtual machine monitor.
enum MicroVMProgram {
    static let name = "vmlab-vmm"
    /// The environment variable that overrides it.
    static let variable = "VMLAB_VMM"

    /// The path in `VMLAB_VMM`, else the program next to the running one. Throws when it is missing. PATH is not searched, because
    /// a monitor of another version must not be used.
    static func find(environment: String? = Environment[variable]) throws(Diagnostic) -> String {
        let candidate = environment ?? beside
        if let path = Tool.find(candidate) { return path }
        throw Diagnostic(
            .host, "the program \(candidate) is missing",
            remedy: environment == nil
                ? "build it beside vmlab with `make build`, or set \(variable) to its path"
                : "set \(variable) to the path of \(name)")
    }

    private static var beside: String {
        var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        let program = String(decoding: buffer[..<max(count, 0)], as: UTF8.self)
        return "\(program[..<(program.lastIndex(of: "/") ?? program.startIndex)])/\(name)"
    }
}
