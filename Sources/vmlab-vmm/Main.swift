import MicroVM
import Glibc

@main
struct VMM {
    static func main() throws {
        var a = CommandLine.arguments.dropFirst()
        var c = VMConfiguration(kernel: "")
        c.com1 = .terminal
        while let o = a.popFirst(), let v = a.popFirst() {
            switch o {
            case "--kernel": c.kernel = v
            case "--initrd": c.initrd = v
            case "--append": c.cmdline = v
            case "--memory": c.memory = UInt64(v)! << 20
            case "--cpus": c.cpus = Int(v)!
            case "--swap": c.com1 = .none; c.com2 = .terminal
            case "--serial2": c.com2 = .socket(v)
            case "--disk": c.disks.append(.init(path: v, serial: "disk\(c.disks.count)", readOnly: true))
            case "--root": c.disks.append(.init(path: v, serial: "vmlab-root", readOnly: true))
            default: break
            }
        }
        exit(try GuestProcess(c).run().rawValue)
    }
}
