import Diagnostics
import Glibc
import HostSystem

/// Where vmlab's own virtual machine monitor is.
enum MicroVMProgram {
    static let name = "vmlab-vmm"
    /// The environment variable that says otherwise.
    static let variable = "VMLAB_VMM"

    /// What `VMLAB_VMM` says, else the program beside the running one. Throws when it is not there.
    ///
    /// PATH is not searched: a monitor of another version would be worse than none.
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
