import Glibc
import HostSystem
import JSON
import LabTestSupport
import Testing

@testable import MachineMonitor

/// Freestanding guests of Tests/Guests, a few milliseconds each; every one says what went wrong in it as `failed: …`.
///
/// One after the other: the one that loops takes a processor for as long as its test waits for one.
@Suite("Freestanding guests", .serialized, .requiresKVM, .requiresGuests, .timeLimit(.minutes(2)))
struct FreestandingTests {
    @Test("sends back what comes on its serial port, and powers off")
    func echo() async throws {
        try await TestGuest.run("echo") { guest in
            #expect(try await guest.receive(until: "ready\n") == "echo: ready\n")
            try await guest.listen()
            let text = String(repeating: "All's well that ends well. ", count: 40)
            try await guest.type(text + "!\u{4}")
            #expect(try await guest.receive(until: "!") == text + "!")
            #expect(try await guest.receive(until: "done\n") == "\necho: done\n")
            #expect(try await guest.event("SHUTDOWN") == ["guest": true, "reason": "guest-shutdown"])
            #expect(try await guest.ended() == .poweredOff)
        }
    }

    @Test("is woken from hlt by its serial port's interrupt")
    func interrupts() async throws {
        try await TestGuest.run("interrupts") { guest in
            #expect(try await guest.receive(until: "ready\n") == "interrupts: ready\n")
            for _ in 0..<3 {
                try await guest.type("x")
                #expect(try await guest.receive(until: "\n") == "interrupt\n")
            }
            try await guest.type("\u{4}")
            #expect(try await guest.receive(until: "done\n") == "interrupts: done\n")
            #expect(try await guest.ended() == .poweredOff)
        }
    }

    @Test("is woken from hlt by its local APIC's timer")
    func timer() async throws {
        try await TestGuest.run("timer") { guest throws in
            #expect(try await guest.receive(until: "done\n") == "tick\ntick\ntick\ntimer: done\n")
            #expect(try await guest.ended() == .poweredOff)
        }
    }

    @Test("reads ones where nothing is, in every width, and writes there to no effect")
    func exits() async throws {
        try await TestGuest.run("exits") { guest throws in
            #expect(try await guest.receive(until: "\n") == "exits: done\n")
            #expect(try await guest.ended() == .poweredOff)
        }
    }

    @Test("starts its other processors", arguments: [1, 2, 4])
    func processors(count: Int) async throws {
        try await TestGuest.run("smp", processors: count) { guest in
            let said = try await guest.receive(until: "processors\n")
            #expect(said == String(repeating: "*", count: count - 1) + "\nsmp: \(count) processors\n")
            #expect(try await guest.ended() == .poweredOff)
        }
    }

    // MARK: Ends

    private static let mustBeReset: JSONValue = [
        "class": "GenericError", "desc": "Resetting the Virtual Machine is required",
    ]

    @Test("sleeps with interrupts off until it is ended")
    func halt() async throws {
        try await TestGuest.run("halt") { guest in
            #expect(try await guest.receive(until: "\n") == "halt: asleep\n")
            try await guest.listen()
            #expect(try await guest.status() == "running")
            #expect(try await guest.ask("quit") == [:])
            #expect(try await guest.ended() == .poweredOff)
        }
    }

    @Test("loops with interrupts off, is held, goes on, and is ended")
    func loop() async throws {
        try await TestGuest.run("loop") { guest in
            #expect(try await guest.receive(until: "\n") == "loop: for ever\n")
            try await guest.listen()
            #expect(try await guest.ask("stop") == [:])
            #expect(try await guest.status() == "paused")
            #expect(try await guest.ask("cont") == [:])
            #expect(try await guest.status() == "running")
            #expect(try await guest.ask("quit") == [:])
            #expect(try await guest.ended() == .poweredOff)
        }
    }

    @Test("resets itself both ways, and finds memory as new")
    func reset() async throws {
        try await TestGuest.run("reset") { guest in
            #expect(try await guest.receive(until: "\n") == "reset: ready\n")
            try await guest.listen()
            for key in ["k", "a", "k"] {
                try await guest.type(key)
                #expect(try await guest.event("RESET") == ["guest": true, "reason": "guest-reset"])
                #expect(try await guest.receive(until: "\n") == "reset: ready\n")
            }
            try await guest.type("q")
            #expect(try await guest.receive(until: "\n") == "reset: done\n")
            #expect(try await guest.ended() == .poweredOff)
        }
    }

    @Test("is reset by a triple fault")
    func tripleFault() async throws {
        try await TestGuest.run("triple") { guest in
            #expect(try await guest.receive(until: "\n") == "triple: ready\n")
            try await guest.listen()
            for _ in 0..<2 {
                try await guest.type("x")
                #expect(try await guest.event("RESET") == ["guest": true, "reason": "guest-reset"])
                #expect(try await guest.receive(until: "\n") == "triple: ready\n")
            }
        }
    }

    @Test("N2: powers off while its machine stays, and is powered on again until it may end")
    func powerCycle() async throws {
        try await TestGuest.run("echo") { guest in
            #expect(try await guest.receive(until: "\n") == "echo: ready\n")
            try await guest.listen()
            #expect(try await guest.ask("set-action", ["shutdown": "pause"]) == [:])
            for _ in 1...2 {
                try await guest.type("\u{4}")
                #expect(try await guest.event("SHUTDOWN") == ["guest": true, "reason": "guest-shutdown"])
                _ = try await guest.event("STOP")
                #expect(try await guest.status() == "shutdown")
                #expect(try await guest.ask("cont") == Self.mustBeReset)
                #expect(try await guest.ask("system_reset") == [:])
                #expect(try await guest.status() == "paused")
                #expect(try await guest.ask("cont") == [:])
                #expect(try await guest.receive(until: "ready\n").hasSuffix("echo: ready\n"))
            }
            #expect(try await guest.ask("set-action", ["shutdown": "poweroff"]) == [:])
            try await guest.type("\u{4}")
            #expect(try await guest.ended() == .poweredOff)
        }
    }

    @Test("faults, panics, says so, and has failed when it powers off")
    func fault() async throws {
        try await TestGuest.run("fault") { guest in
            #expect(try await guest.receive(until: "\n") == "fault: ready\n")
            try await guest.listen()
            try await guest.type("x")
            #expect(try await guest.event("GUEST_PANICKED") == ["action": "run"])
            #expect(
                try await guest.receive(until: "exception\n") == """
                    BUG: unable to handle page fault for address: 0000008000000000
                    Kernel panic - not syncing: Fatal exception

                    """)
            try await guest.type("x")
            #expect(try await guest.event("SHUTDOWN") == ["guest": true, "reason": "guest-shutdown"])
            #expect(try await guest.ended() == .guestFailed)
        }
    }

    @Test("meets an error that KVM cannot go on from, and can be reset")
    func error() async throws {
        try await TestGuest.run("error") { guest in
            #expect(try await guest.receive(until: "\n") == "error: ready\n")
            try await guest.listen()
            try await guest.type("x")
            _ = try await guest.event("STOP")
            #expect(try await guest.status() == "internal-error")
            #expect(try await guest.ask("cont") == Self.mustBeReset)
            #expect(try await guest.ask("system_reset") == [:])
            #expect(try await guest.receive(until: "\n") == "error: ready\n")
            #expect(try await guest.status() == "running")
        }
    }

    // MARK: Devices

    private func write(_ bytes: [UInt8], to path: String) throws {
        let file = try OwnedDescriptor.open(path, O_WRONLY | O_CREAT)
        guard Glibc.write(file.number, bytes, bytes.count) == bytes.count else { throw SystemCallError("write", path) }
    }

    @Test("copies a sector of its disk to the next by virtio-blk")
    func block() async throws {
        try await withTemporaryFolder { folder in
            let disk = (0..<4096).map { UInt8(truncatingIfNeeded: $0 * $0 / 7) }
            try write(disk, to: "\(folder)/disk")
            try await TestGuest.run("block", disks: [.init(path: "\(folder)/disk")]) { guest throws in
                #expect(try await guest.receive(until: "\n") == "block: done\n")
                #expect(try await guest.ended() == .poweredOff)
            }
            let copied = disk[..<512] + disk[..<512] + disk[1024...]
            #expect(try SmallFile.bytes("\(folder)/disk") == Array(copied))
        }
    }

    @Test("writes everywhere: to ports, registers and queues; it hurts nobody but itself")
    func hostile() async throws {
        try await withTemporaryFolder { folder in
            let disk = (0..<(64 << 10)).map { UInt8(truncatingIfNeeded: $0 * $0 / 5) }
            for name in ["written", "read"] { try write(disk, to: "\(folder)/\(name)") }
            // Somebody whom its frames reach.
            let port = try DatagramSocket(path: "\(folder)/port", peer: "\(folder)/card")
            try await TestGuest.run(
                "hostile",
                disks: [.init(path: "\(folder)/written"), .init(path: "\(folder)/read", readOnly: true)],
                networks: [
                    .init(
                        mac: "52:54:00:00:00:01",
                        link: .sockets(local: "\(folder)/card", remote: "\(folder)/port"))
                ]
            ) { guest throws in
                #expect(
                    try await guest.receive(until: "done\n") == """
                        hostile: ports
                        hostile: registers
                        hostile: queues
                        hostile: done

                        """)
                #expect(try await guest.ended() == .poweredOff)
            }
            withExtendedLifetime(port) {}
            #expect(try SmallFile.bytes("\(folder)/read") == disk)
            #expect(try SmallFile.bytes("\(folder)/written").count == disk.count)
            // The process lives, and the next guest does not notice.
            try await TestGuest.run("exits") { guest throws in
                #expect(try await guest.receive(until: "\n") == "exits: done\n")
            }
        }
    }
}
