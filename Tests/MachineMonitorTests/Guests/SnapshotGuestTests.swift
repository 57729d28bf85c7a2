import Glibc
import HostSystem
import LabTestSupport
import MicroVM
import QMP
import Testing
import VirtualHardware

@testable import MachineMonitor

/// Freestanding guests that are written down and go on elsewhere.
@Suite("Snapshots of guests", .serialized, .requiresKVM, .requiresGuests, .timeLimit(.minutes(2)))
struct SnapshotGuestTests {
    private func bytes(_ path: String) throws -> [UInt8] { try SmallFile.bytes(path, limit: 64 << 20) }

    /// Both files, to see that nobody changes them.
    private func contents(_ path: String) throws -> [[UInt8]] { [try bytes(path), try bytes(path + ".memory")] }

    @Test(
        "A guest goes on where it stood, twice, and so does the first one; the files stay as they are",
        arguments: [1, 2])
    func goesOn(processors: Int) async throws {
        try await withTemporaryFolder { folder in
            let path = "\(folder)/resume"
            try await TestGuest.run("resume", processors: processors, snapshots: folder) { guest in
                _ = try await guest.receive(until: "ready\n")
                try await guest.type("xyz")
                #expect(try await guest.receive(until: "cC") == "aAbBcC")
                try await guest.listen()
                #expect(try await guest.save(to: path) == [:])
                #expect(try await guest.status() == "running")
                try await guest.type("x\u{4}")
                #expect(try await guest.receive(until: "done\n") == "dD\nresume: done\n")
                #expect(try await guest.ended() == .poweredOff)
            }
            let before = try contents(path)
            for _ in 0..<2 {
                try await TestGuest.run("resume", processors: processors, restore: path) { guest in
                    try await guest.type("xx\u{4}")
                    #expect(try await guest.receive(until: "done\n") == "dDeE\nresume: done\n")
                    #expect(try await guest.ended() == .poweredOff)
                }
            }
            let isSame = try contents(path) == before
            #expect(isSame)
        }
    }

    @Test("A timer that runs while the guest is written down rings in the clone")
    func timer() async throws {
        try await withTemporaryFolder { folder in
            let path = "\(folder)/timer"
            try await TestGuest.run("resume", snapshots: folder) { guest in
                _ = try await guest.receive(until: "ready\n")
                try await guest.listen()
                try await guest.type("t")
                _ = try await guest.receive(until: "aA")
                #expect(try await guest.save(to: path) == [:])
                _ = try await guest.receive(until: "tick\n")
            }
            try await TestGuest.run("resume", restore: path) { guest in
                let said = try await guest.receive(until: "tick\n")
                #expect(said == "tick\n")
            }
        }
    }

    @Test("A clone of a clone goes on, and a clone that is reset boots")
    func generations() async throws {
        try await withTemporaryFolder { folder in
            let (first, second) = ("\(folder)/first", "\(folder)/second")
            try await TestGuest.run("resume", snapshots: folder) { guest in
                _ = try await guest.receive(until: "ready\n")
                try await guest.type("x")
                _ = try await guest.receive(until: "aA")
                try await guest.listen()
                _ = try await guest.ask("stop")
                #expect(try await guest.save(to: first) == [:])
                #expect(try await guest.status() == "paused")
            }
            try await TestGuest.run("resume", snapshots: folder, restore: first) { guest in
                try await guest.type("x")
                #expect(try await guest.receive(until: "B") == "bB")
                try await guest.listen()
                #expect(try await guest.save(to: second) == [:])
            }
            try await TestGuest.run("resume", restore: second) { guest in
                try await guest.type("x")
                #expect(try await guest.receive(until: "C") == "cC")
                try await guest.listen()
                _ = try await guest.ask("system_reset")
                #expect(try await guest.receive(until: "ready\n") == "resume: ready\n")
                try await guest.type("x")
                #expect(try await guest.receive(until: "A") == "aA")
            }
        }
    }

    @Test("A disk's queue goes on")
    func disk() async throws {
        try await withTemporaryFolder { folder in
            let (path, image) = ("\(folder)/sectors", "\(folder)/disk")
            let file = try OwnedDescriptor.open(image, O_WRONLY | O_CREAT)
            let sectors = (0..<8).flatMap { [UInt8](repeating: 0x41 + UInt8($0), count: 512) }
            #expect(write(file.number, sectors, sectors.count) == sectors.count)
            let disks = [VMConfiguration.Disk(path: image, readOnly: true)]
            try await TestGuest.run("sectors", disks: disks, snapshots: folder) { guest in
                _ = try await guest.receive(until: "ready\n")
                try await guest.type("01234")
                #expect(try await guest.receive(until: "E") == "ABCDE")
                try await guest.listen()
                #expect(try await guest.save(to: path) == [:])
                try await guest.type("5")
                #expect(try await guest.receive(until: "F") == "F")
            }
            for _ in 0..<2 {
                try await TestGuest.run("sectors", disks: disks, restore: path) { guest in
                    try await guest.type("765\u{4}")
                    #expect(try await guest.receive(until: "done\n") == "HGF\nsectors: done\n")
                }
            }
        }
    }

    @Test("A machine of another shape is refused with the reason, and so are files that do not belong together")
    func refusals() async throws {
        try await withTemporaryFolder { folder in
            let path = "\(folder)/resume"
            try await TestGuest.run("resume", snapshots: folder) { guest in
                _ = try await guest.receive(until: "ready\n")
                try await guest.listen()
                #expect(try await guest.save(to: path) == [:])
                // There is one already; others may be using it.
                let again = try await guest.save(to: path)
                #expect(again["desc"]?.stringValue?.hasSuffix("File exists") == true)
                for stray in ["/elsewhere/x", "\(folder)/..", folder, "x", "\(folder)/a/b"] {
                    let answer = try await guest.save(to: stray)
                    #expect(answer["desc"] == "a snapshot's path is a file in the folder `snapshots`")
                }
                #expect(try await guest.save(to: "\(folder)/other") == [:])
            }
            func expectRefusal(
                _ reason: String, processors: Int = 1, memory: UInt64 = 32 << 20, disks: [VMConfiguration.Disk] = [],
                _ path: String
            ) async throws {
                try await TestGuest.run(
                    "resume", processors: processors, disks: disks, memory: memory, restore: path
                ) { guest in
                    let error = await #expect(throws: SnapshotError.self) { try await guest.ended() }
                    #expect(error?.description == "the snapshot \(path) cannot be restored: \(reason)")
                }
            }
            try await expectRefusal("it has 1 processors, this machine 2", processors: 2, path)
            try await expectRefusal("it has 32MiB of memory, this machine 64MiB", memory: 64 << 20, path)
            let ports = "uart16550/1, uart16550/1, power/1"
            try await expectRefusal(
                "it has the devices \(ports), virtio-mmio-4/1, this machine \(ports), virtio-mmio-2/1, virtio-mmio-4/1",
                disks: [VMConfiguration.Disk(path: "\(folder)/other", readOnly: true)], path)
            try await expectRefusal("open \(folder)/none: No such file or directory", "\(folder)/none")

            let memory = path + ".memory"
            #expect(rename("\(folder)/other.memory", memory) == 0)
            try await expectRefusal("its memory in \(memory) belongs to another machine, or is incomplete", path)
            #expect(truncate(memory, 32 << 20) == 0)
            try await expectRefusal("its memory in \(memory) has 33554432 bytes instead of 33558528", path)
        }
    }
}
