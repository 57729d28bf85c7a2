import ArgumentParser
import Diagnostics
import Glibc
import HostSystem
import LabImages
import LabMachines
import LabResults
import Quantities

struct DoctorVerb: LoggingCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor", abstract: "Check what this host can do, and suggest improvements.",
        discussion: "The exit status is 3 if labs cannot run on this host at all.")

    @OptionGroup var log: LogOptions

    func run() async throws {
        let findings = await Self.findings()
        for finding in findings {
            Output.line("\(finding.mark) \(finding.subject): \(finding.text)")
            if let remedy = finding.remedy { Output.line("      remedy: \(remedy)") }
        }
        if findings.contains(where: { $0.level == .bad }) { throw ExitStatus.infrastructure }
    }

    /// One thing looked at.
    struct Finding {
        enum Level {
            case good, limited, bad
        }

        var level: Level
        var subject: String
        var text: String
        var remedy: String?

        /// Good, or not quite: then with a remedy.
        static func fair(_ isGood: Bool, _ subject: String, _ text: String, remedy: String?) -> Finding {
            Finding(level: isGood ? .good : .limited, subject: subject, text: text, remedy: isGood ? nil : remedy)
        }

        var mark: String {
            switch level {
            case .good: "[ok]  "
            case .limited: "[note]"
            case .bad: "[FAIL]"
            }
        }
    }

    private static func findings() async -> [Finding] {
        let probe = KVMProbe.run()
        let monitor = monitor()
        let needsQEMU = if case .hardware = probe { monitor.level != .good } else { true }
        return [kvm(probe), await qemu(isNeeded: needsQEMU), monitor] + images()
            + [memory(), processors(), shares(), files(), await namespaces()] + CheckedFolder.all.map(\.finding)
            + tools()
    }

    private static func kvm(_ probe: KVMProbe) -> Finding {
        let isGood = if case .hardware = probe { true } else { false }
        let isMissing = if case .unavailable = probe { true } else { false }
        return Finding(
            level: isGood ? .good : .limited, subject: "KVM",
            text: isMissing ? "\(probe); guests run emulated by QEMU" : "\(probe)", remedy: probe.remedy)
    }

    private static func qemu(isNeeded: Bool) async -> Finding {
        do {
            let backend = try QEMUBackend()
            let version = try await backend.version()
            return Finding(
                level: .good, subject: "QEMU",
                text: "\(version) at \(backend.executable), backend \(backend.name)")
        } catch {
            let problem = error as? Diagnostic
            return Finding(
                level: isNeeded ? .bad : .limited, subject: "QEMU", text: problem?.message ?? "\(error)",
                remedy: problem?.remedy)
        }
    }

    private static func monitor() -> Finding {
        do throws(Diagnostic) {
            let path = try MicroVMBackend().executable
            return Finding(level: .good, subject: "vmlab-vmm", text: "\(path), the built-in backend")
        } catch {
            return Finding(level: .limited, subject: "vmlab-vmm", text: error.message, remedy: error.remedy)
        }
    }

    /// Which backend a guest of each image gets that asks for nothing in particular.
    private static func images() -> [Finding] {
        let backends = BackendSelection()
        return ImageCatalog.standard.images.filter { !$0.name.contains(":") }.map { image in
            let subject = "image \(image.name)"
            do throws(Diagnostic) {
                let choice = try backends.choice(for: image.facts)
                return Finding(level: .good, subject: subject, text: "\(choice.backend.name): \(choice.reason)")
            } catch {
                return Finding(level: .bad, subject: subject, text: error.message, remedy: error.remedy)
            }
        }
    }

    private static func memory() -> Finding {
        let facts = HostFacts()
        var text = "\(ByteCount(facts.usableMemory)) usable of \(ByteCount(facts.totalMemory))"
        if let limit = facts.cgroupMemory { text += "; this control group has \(ByteCount(limit)) left" }
        return .fair(
            facts.usableMemory >= 1 << 30, "memory", text,
            remedy: "a Linux guest takes about 300MiB, a Windows-like one 400MiB: free some memory")
    }

    private static func processors() -> Finding {
        let count = HostFacts().processorCount
        return Finding(level: .good, subject: "processors", text: "\(count); that many guests boot at a time")
    }

    private static func shares() -> Finding {
        let subject = "shares of guests"
        switch ControlGroupDelegation.find() {
        case .success(let delegation):
            let lacking = ["cpu", "io"].filter { !delegation.controllers.contains($0) }
            let weights = delegation.controllers.sorted().map { "`\($0)Weight`" }.joined(separator: " and ")
            let text = "\(weights) by groups in \(delegation.folder)"
            let lack = lacking.first.map { "; the \($0) controller is not delegated" } ?? ""
            return .fair(lacking.isEmpty, subject, text + lack, remedy: nil)
        case .failure(let refusal):
            return Finding(
                level: .limited, subject: subject,
                text: "\(refusal.reason): no `ioWeight`, and `cpuWeight` below 100 only, by a lower priority",
                remedy: refusal.remedy)
        }
    }

    private static func files() -> Finding {
        let limit = HostFacts().openFileLimit
        return .fair(
            limit / 12 >= 50, "open files", "limit \(limit), enough for about \(limit / 12) guests",
            remedy: "raise it: `ulimit -n 16384`")
    }

    private static func namespaces() async -> Finding {
        let child = try? await ChildProcess.spawn(
            ChildConfiguration(executable: Tool.find("true") ?? "/bin/true", isUnprivileged: true))
        _ = await child?.ended()
        let isGood = child?.hasOwnNamespaces == true
        return .fair(
            isGood, "isolation of guests",
            isGood
                ? "no capabilities; network, IPC and host-name namespaces of their own"
                : "no capabilities; this host does not let this user create namespaces, so guests' processes share the host's",
            remedy: "allow user namespaces: `sysctl user.max_user_namespaces kernel.unprivileged_userns_clone "
                + "kernel.apparmor_restrict_unprivileged_userns` shows what forbids them")
    }

    private static func tools() -> [Finding] {
        let uses: [(tools: [String: String], level: Finding.Level, text: String)] = [
            (["tar": "tar"], .bad, "missing"),
            (["qemu-img": "qemu-utils"], .limited, "missing; the built-in backend cannot use qcow2 disks"),
            (
                ["apt-get": "apt", "dpkg-deb": "dpkg"], .limited,
                "missing; images that are not built yet cannot be built"
            ),
            (OutsideLink.programs, .limited, "missing; networks with `nat: true` do not work"),
            (KernelCache.programs, .limited, "missing; some kernels of your own unpack themselves in each guest"),
        ]
        return uses.flatMap { use in
            use.tools.filter { Tool.find($0.key) == nil }.sorted { $0.key < $1.key }.map { tool in
                Finding(
                    level: use.level, subject: tool.key, text: use.text,
                    remedy: "on Debian: `apt-get install \(tool.value)`")
            }
        }
    }
}
