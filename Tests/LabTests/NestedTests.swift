import Glibc
import HostSystem
import LabResults
import Testing

extension Trait where Self == ConditionTrait {
    /// The test runs labs inside a guest, from a disk that has this very build of vmlab on it.
    static var requiresNestedDisk: Self {
        .enabled("the nested guest's disk is not there or older than vmlab: `make test-nested` builds it") {
            guard let vmlab = VMLab.executable, let built = changed(vmlab) else { return false }
            return changed(NestedTests.disk).map { $0 >= built } ?? false
        }
    }

    private static func changed(_ path: String) -> Int? {
        var facts = stat()
        return stat(path, &facts) == 0 ? facts.st_mtim.tv_sec : nil
    }
}

/// The built-in backend against real guests: machines with emulated virtualization, in which vmlab runs labs with
/// `--backend kvm`. Labs/nested-kvm is run once, beside the other tests that boot guests; its results, the inner labs' among
/// them, are looked at here.
@Suite(.requiresVMLab, .requiresQEMU, .requiresImages, .requiresNestedDisk) struct NestedTests {
    static let folder = "\(VMLab.root)/Labs/nested-kvm"
    static let disk = "\(folder)/nested.squashfs"

    /// The results of an inner lab, collected by the outer task that ran it.
    private func inner(_ lab: String, _ vmlab: VMLab) throws -> String {
        let task = ["login", "endings"].contains(lab) ? "quickstart" : lab
        let guest = try #require(vmlab.report().task(task).id.guest)
        return "out/tasks/\(task)/\(guest)/artifacts/\(lab)"
    }

    @Test("Labs pass on the built-in backend inside a guest, and guests end there as they should")
    func labsInsideAGuest() async throws {
        try await VMLab.with { vmlab in
            let run = try await vmlab("run", "\(Self.folder)/lab.yaml", "--out", "out", within: .seconds(3600))
            #expect(run.status == 0, "\(run.everything)")
            // QEMU's emulation of SVM loses machines; each cost its task an attempt.
            let lost = try vmlab.report().tasks.map { $0.attempts - 1 }.reduce(0, +)
            print("Labs/nested-kvm: \(run.duration), \(lost) machines lost to QEMU's emulation of SVM")
            for lab in ["quickstart", "linux", "boots", "login", "clones", "endings"] {
                let report = try vmlab.report(inner(lab, vmlab))
                #expect(report.guests.allSatisfy { $0.guest.backend == "kvm" }, "\(lab): \(report.guests)")
                #expect(report.guests.allSatisfy { ($0.bootSeconds ?? 0) > 0 }, "\(lab): \(report.guests)")
                #expect(report.status == (lab == "endings" ? "infrastructure" : "passed"), "\(report.outcomes)")
            }
            try quickstart(vmlab)
            try linux(vmlab)
            try boots(vmlab)
            try clones(vmlab)
            // Both guests and the one that rebooted had the one kernel that was unpacked for them.
            let host = try #require(vmlab.report().task("linux").id.guest)
            let kernel = try #require(text(vmlab, "linux", on: host, in: "out").split(separator: "\n").last)
            #expect(kernel.count == 64 && kernel.allSatisfy(\.isHexDigit), "\(kernel)")
            try await files(vmlab)
            try endings(vmlab)
        }
    }

    private func quickstart(_ vmlab: VMLab) throws {
        let out = try inner("quickstart", vmlab)
        #expect(try text(vmlab, "kernel", on: "lin", in: out).hasPrefix("Linux 6."))
        #expect(try text(vmlab, "version", on: "win", in: out).contains("Microsoft Windows"))
        let greeting = try vmlab.text("\(out)/tasks/build/lin/artifacts/out/greeting.txt")
        #expect(greeting.contains("hello from the host, from lin"))
        let hello = try vmlab.text("\(out)/tasks/batch/win/artifacts/out/hello.txt")
        #expect(hello.contains("Hello from a batch file on win"))
    }

    private func linux(_ vmlab: VMLab) throws {
        let out = try inner("linux", vmlab)
        for (guest, count) in [("one", "1"), ("two", "2")] {
            #expect(try text(vmlab, "processors", on: guest, in: out).hasPrefix("\(count)\n"))
            try expectNoTrouble(vmlab, guest, in: out)
        }
    }

    /// Both inits, four processors, a disk that knew nothing of vmlab: each with its root on a virtio disk.
    private func boots(_ vmlab: VMLab) throws {
        let out = try inner("boots", vmlab)
        for (guest, name) in [("service", "service"), ("four", "four"), ("foreign", "small")] {
            #expect(try text(vmlab, "root", on: guest, in: out).hasPrefix("\(name)\n/dev/vd"))
            try expectNoTrouble(vmlab, guest, in: out)
        }
    }

    /// What the labs found out themselves, and that no kernel complained; all the more after its clock had stood.
    private func clones(_ vmlab: VMLab) throws {
        let out = try inner("clones", vmlab)
        let guests = try vmlab.report(out).guests
        #expect(guests.count == 5, "\(guests)")
        for guest in guests { try expectNoTrouble(vmlab, guest.guest.name, in: out) }
    }

    private func expectNoTrouble(_ vmlab: VMLab, _ guest: String, in out: String) throws {
        let console = try vmlab.console(guest, in: out)
        for trouble in ["BUG:", "WARNING: CPU", "Oops", "Call Trace", "soft lockup", "rcu_sched self-detected"] {
            #expect(!console.contains(trouble), "\(trouble) on \(guest):\n\(console)")
        }
    }

    /// Both directions keep every byte: what went in has the sum that the host's copy has, what came out the sum that
    /// the guest saw.
    private func files(_ vmlab: VMLab) async throws {
        let out = try inner("linux", vmlab)
        let sums = try text(vmlab, "files", on: "two", in: out).split(separator: "\n").map { $0.prefix(64) }
        let back = "\(out)/tasks/files/two/artifacts/back"
        let files = ["\(Self.folder)/enter", "\(vmlab.path)/\(back)/random"]
        let here = try await Tool.run("sha256sum", files, package: "coreutils").text.split(separator: "\n")
        #expect(sums == here.map { $0.prefix(64) })
        #expect(try vmlab.text("\(back)/enter") == SmallFile.text(files[0]))
    }

    private func endings(_ vmlab: VMLab) throws {
        let out = try inner("endings", vmlab)
        let report = try vmlab.report(out)
        let crash = try report.task("crash")
        #expect(crash.outcome == .panicked, "\(report.outcomes)")
        #expect(try text(vmlab, "crash", on: "panics", in: out) == "before\n")
        #expect(try vmlab.console("panics", in: out).contains("Kernel panic - not syncing: sysrq triggered crash"))
        let off = try report.task("power-off")
        #expect(off.outcome == .error && off.message?.contains("powered itself off") == true, "\(off)")
    }

    private func text(_ vmlab: VMLab, _ task: String, on guest: String, in out: String) throws -> String {
        String(decoding: try vmlab.output(task, on: guest, in: out), as: UTF8.self)
    }
}
