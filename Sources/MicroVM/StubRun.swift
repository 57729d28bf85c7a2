import Glibc
import HostSystem
import VirtualHardware
extension VirtioMMIOTransport: Resettable {}
final class ResetPort: BusDevice {
    func read(at offset: UInt64, width: Int) -> UInt64 { 0 }
    func write(_ value: UInt64, at offset: UInt64, width: Int) { if offset == 4, value == 0xfe { _exit(0) } }
}
public func stubRun(_ arguments: [String]) throws {
    let reactor = try Reactor()
    var assembly = try MachineAssembly.make(memory: 256 << 20, processors: 1)
    assembly.attach(StubUART(), atPorts: MachineLayout.com1)
    assembly.attach(ResetPort(), atPorts: MachineLayout.keyboardController)
    let loader = try GuestLoader(
        kernel: arguments[1], initrd: arguments.count > 3 ? arguments[3] : nil, commandLine: arguments[2])
    let machine = try Machine(assembly, loader: loader) { event in
        print(event); _exit(1)
    }
    machine.run()
    reactor.run()
}
