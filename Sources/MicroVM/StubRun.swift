import Glibc
import HostSystem
import VirtualHardware
extension VirtioMMIOTransport: Resettable {}
extension UART16550: Resettable {}
extension PowerRegisters: Resettable {}
final class Box: @unchecked Sendable { var uart: UART16550? }
public func stubRun(_ arguments: [String]) throws {
    let reactor = try Reactor()
    var assembly = try MachineAssembly.make(memory: 256 << 20, processors: arguments.count > 4 ? 2 : 1)
    for (ports, line, out) in [(MachineLayout.com1, MachineLayout.com1Interrupt, Int32(1)), (MachineLayout.com2, MachineLayout.com2Interrupt, 2)] {
        let box = Box()
        let uart = UART16550(interrupt: try assembly.interrupt(line), owner: .init(hasOutput: { reactor.perform { let b = box.uart!.takeOutput(65536); Glibc.write(out, b, b.count) } }, wantsInput: {}))
        box.uart = uart
        assembly.attach(uart, atPorts: ports)
    }
    assembly.attach(KeyboardController { print("i8042 reset"); _exit(0) }, atPorts: MachineLayout.keyboardController)
    assembly.attach(PowerRegisters(interrupt: try assembly.interrupt(MachineLayout.eventInterrupt), onPowerOff: { print("power off"); _exit(0) }, onReset: { print("reset"); _exit(0)}), atPorts: MachineLayout.powerPorts)
    let loader = try GuestLoader(kernel: arguments[1], initrd: arguments.count > 3 ? arguments[3] : nil, commandLine: arguments[2])
    let machine = try Machine(assembly, loader: loader) { event in print(event); _exit(1) }
    machine.run()
    reactor.run()
}
