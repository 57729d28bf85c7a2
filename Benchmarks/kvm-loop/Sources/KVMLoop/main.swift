// A freestanding guest's life, again and again, through vmlab's `KVM`: what kvm-loop.c does with bare ioctls.
//
//   KVMLoop GUESTS [CLOSERS]
//
// Prints `created SECONDS` (until the last guest has run) and `total SECONDS` (until the last is closed).
import CKVM
import Foundation
import KVM

let memorySize = 1 << 20
let codeAddress = 0x1000
let port: UInt16 = 0x402
/// mov al, '!'; mov dx, 0x402; out dx, al; hlt - in real mode.
let code: [UInt8] = [0xb0, 0x21, 0xba, 0x02, 0x04, 0xee, 0xf4]

struct Trouble: Error, CustomStringConvertible {
    let description: String
}

/// One guest with what it holds; released with the last reference.
final class Guest: @unchecked Sendable {
    // Unchecked because of the memory, which moves from thread to thread with the guest.
    private let machine: VirtualMachine
    private var processor: VCPU
    private let memory: UnsafeMutableRawPointer

    init(_ system: borrowing KVMSystem) throws {
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
        guard let memory = mmap(nil, memorySize, PROT_READ | PROT_WRITE, flags, -1, 0), memory != MAP_FAILED else {
            throw Trouble(description: "mmap: \(errno)")
        }
        self.memory = memory
        memory.advanced(by: codeAddress).copyMemory(from: code, byteCount: code.count)
        machine = try system.makeVirtualMachine()
        try machine.setMemory(slot: 0, at: 0, size: UInt64(memorySize), host: UInt(bitPattern: memory))
        try machine.makeInterruptController()
        processor = try machine.makeVCPU(0)
        var state = try processor.systemRegisters()
        state.cs.base = 0
        state.cs.selector = 0
        try processor.setSystemRegisters(state)
        var registers = kvm_regs()
        registers.rip = UInt64(codeAddress)
        registers.rflags = 2
        try processor.setRegisters(registers)
    }

    deinit { munmap(memory, memorySize) }

    /// Until it has written its byte and is at its `hlt`, which the kernel keeps to itself: the next exit would never come.
    func run() throws {
        let exit = try processor.enter()
        guard exit == .portWrite(port: port, width: 1, count: 1) else { throw Trouble(description: "\(exit)") }
        // Completes the instruction without going on.
        processor.kicker.stop()
        let end = try processor.enter()
        guard end == .interrupted else { throw Trouble(description: "\(end)") }
    }
}

/// Closing a VM waits some 15 ms for the kernel's other processors, which threads of its own do.
final class Closers: @unchecked Sendable {
    // Unchecked because the condition's lock guards it.
    private let condition = NSCondition()
    private var guests: [Guest] = []
    private var running: Int
    private var isOver = false
    private let limit: Int

    init(_ limit: Int) {
        self.limit = limit
        running = limit
        for _ in 0..<limit { Thread.detachNewThread { self.work() } }
    }

    func close(_ guest: consuming Guest) {
        condition.lock()
        defer { condition.unlock() }
        while guests.count == limit { condition.wait() }
        guests.append(guest)
        condition.broadcast()
    }

    func finish() {
        condition.withLock {
            isOver = true
            condition.broadcast()
            while running > 0 { condition.wait() }
        }
    }

    private func work() {
        while let guest = next() { release(guest) }
        condition.withLock {
            running -= 1
            condition.broadcast()
        }
    }

    private func release(_ guest: consuming Guest) {}

    private func next() -> Guest? {
        condition.withLock {
            while guests.isEmpty, !isOver { condition.wait() }
            defer { condition.broadcast() }
            return guests.popLast()
        }
    }
}

let words = CommandLine.arguments.dropFirst().map { Int($0) ?? 0 }
guard (1...2).contains(words.count), words[0] > 0, (1...64).contains(words.count == 2 ? words[1] : 8) else {
    print("usage: KVMLoop GUESTS [CLOSERS up to 64]")
    exit(2)
}
let system = try KVMSystem.open()
let closers = Closers(words.count == 2 ? words[1] : 8)
let begun = ContinuousClock.now
for _ in 0..<words[0] {
    let guest = try Guest(system)
    try guest.run()
    closers.close(guest)
}
print("created \((ContinuousClock.now - begun) / .seconds(1))")
closers.finish()
print("total \((ContinuousClock.now - begun) / .seconds(1))")
