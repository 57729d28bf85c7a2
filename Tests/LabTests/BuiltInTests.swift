import HostSystem
import LabResults
import LabTestSupport
import Testing

/// The engine on the built-in backend, on whatever `/dev/kvm` this host has: guests are probes, which boot in milliseconds.
@Suite("Probes on the built-in backend", .serialized, .requiresVMLab, .requiresKVM, .timeLimit(.minutes(5)))
struct BuiltInTests {
    private static let lab = """
        lab: endings
        images: {like-windows: {from: probe, os: windows}}
        defaults: {image: probe, backend: kvm, memory: 32MiB}
        guests:
          panics: {disks: [1MiB]}
          bugcheck: {image: like-windows}
          oops: {cpus: 2}
          leaves: {cpus: 1}
          resets: {cpus: 1}
          reboots: {disks: [1MiB]}
          hangs: {cpus: 1}
          also-hangs: {image: like-windows}
        timeouts: {boot: 1m, task: 1m}
        tasks:
          - {name: disk, on: panics, run: echo kept >/dev/vda; cat -c 5 /dev/vda}
          - {name: panic, on: panics, needs: [disk], run: echo before; panic for a test}
          - {name: bugcheck, on: bugcheck, run: panic TEST_CODE}
          - {name: oops, on: oops, run: fault kernel}
          - {name: power-off, on: leaves, run: poweroff}
          - {name: triple, on: resets, run: fault triple}
          - {name: before, on: reboots, run: echo kept >/dev/vda; echo lost >file, reboot: true}
          - {name: after, on: reboots, needs: [before], run: cat -c 4 /dev/vda; cat file}
          - {name: spin, on: [hangs, also-hangs], run: spin, timeout: 1s}
          - {name: alive, on: [hangs, also-hangs], run: echo alive}
        """

    @Test("every end of a guest and of a task is told as what it is")
    func endings() async throws {
        try await VMLab.with { vmlab in
            try vmlab.write("lab.yaml", Self.lab)
            let run = try await vmlab("run", "lab.yaml", "--out", "out")
            #expect(run.status == 3, "\(run.everything)")
            let report = try vmlab.report()
            #expect(report.guests.allSatisfy { $0.guest.backend == "kvm" }, "\(report.guests)")
            func said(_ task: String, _ guest: String) throws -> String {
                String(decoding: try vmlab.output(task, on: guest), as: UTF8.self)
            }
            #expect(try said("disk", "panics") == "kept\n")
            #expect(try said("panic", "panics") == "before\n")
            for (task, message) in [
                ("panic", "Kernel panic - not syncing: for a test"), ("bugcheck", "<VALUE>TEST_CODE</VALUE>"),
                ("oops", "Kernel panic - not syncing: Fatal exception"),
            ] {
                let result = try report.task(task)
                #expect(result.outcome == .panicked, "\(report.outcomes)")
                #expect(result.message?.contains(message) == true, "\(result.message ?? "")")
            }
            for (task, message) in [("power-off", "powered itself off"), ("triple", "restarted while the task ran")] {
                let result = try report.task(task)
                #expect(result.outcome == .error, "\(report.outcomes)")
                #expect(result.message?.contains(message) == true, "\(result.message ?? "")")
            }
            #expect(try report.task("before").outcome == .passed)
            #expect(try report.task("after").outcome == .failed)
            #expect(try said("after", "reboots") == "keptcan't open 'file': No such file or directory\n")
            for guest in ["hangs", "also-hangs"] {
                #expect(try report.task("spin", on: guest).outcome == .timeout)
                #expect(try report.task("alive", on: guest).outcome == .passed, "\(report.outcomes)")
            }
        }
    }
}
