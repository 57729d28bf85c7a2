import Diagnostics
import HostSystem
import Quantities
import Testing

@testable import LabMachines
@testable import LabSpec

@Suite("Which backend runs a guest")
struct BackendSelectionTests {
    private static let hardware = KVMProbe.hardware(instructionsPerSecond: 3e9)
    private static let interpreted = KVMProbe.interpreted(instructionsPerSecond: 1.5e6)
    private static let none = KVMProbe.unavailable(reason: "open /dev/kvm: No such file", remedy: "load kvm_intel")

    private static let builtIn = Result<MicroVMBackend, Diagnostic>.success(MicroVMBackend(executable: "/vmlab-vmm"))
    private static let noBuiltIn = Result<MicroVMBackend, Diagnostic>.failure(
        Diagnostic(.host, "the program /x/vmlab-vmm is missing", remedy: "build it"))
    private static let noQEMU = Result<QEMUBackend, Diagnostic>.failure(
        Diagnostic(.host, "the program qemu-system-x86_64 is missing", remedy: "install it"))

    private func selection(
        _ probe: KVMProbe, override: BackendChoice? = nil, builtIn: Result<MicroVMBackend, Diagnostic> = Self.builtIn,
        hasQEMU: Bool = true
    ) -> BackendSelection {
        let accelerator: QEMUCommandLine.Accelerator = if case .hardware = probe { .kvm } else { .tcg }
        return BackendSelection(
            override: override, probe: probe, builtIn: builtIn,
            qemu: hasQEMU ? .success(QEMUBackend(executable: "/qemu", accelerator: accelerator)) : Self.noQEMU)
    }

    private func facts(freestanding: Bool = false, hasKernel: Bool = true) -> ImageFacts {
        ImageFacts(
            os: .linux, defaultMemory: .mebibytes(256), minimumMemory: .mebibytes(32), isFreestanding: freestanding,
            hasKernel: hasKernel)
    }

    private func group(
        _ backend: BackendChoice = .auto, cpus: Int = 1, memory: ByteCount? = nil, nested: Bool = false,
        networks: [String] = []
    ) -> GuestGroup {
        GuestGroup(
            name: "lin", image: "debian", memory: memory, cpus: cpus, nested: nested, networks: networks,
            backend: backend)
    }

    @Test(
        "auto: Linux on hardware KVM and freestanding guests on any are the built-in machine's, the rest is QEMU's",
        arguments: [
            (Self.hardware, false, "kvm", "this host's /dev/kvm is hardware"),
            (Self.hardware, true, "kvm", "a unikernel runs on any /dev/kvm"),
            (Self.interpreted, false, "qemu-tcg", "/dev/kvm here interprets kernel code, and Linux does not run on it"),
            (Self.interpreted, true, "kvm", "a unikernel runs on any /dev/kvm"),
            (Self.none, false, "qemu-tcg", "this host has no usable /dev/kvm"),
            (Self.none, true, "qemu-tcg", "this host has no usable /dev/kvm"),
        ])
    func automatic(probe: KVMProbe, freestanding: Bool, name: String, reason: String) throws {
        let choice = try selection(probe).choice(for: facts(freestanding: freestanding))
        #expect(choice.backend.name == name)
        #expect(choice.reason == reason)
    }

    @Test(
        "What the built-in machine is not made for: auto leaves it to QEMU, kvm is refused",
        arguments: [
            ("gives a guest at most 16 processors", 17, 256, false, true),
            ("gives a guest at least 32MiB of memory", 1, 31, false, true),
            ("has no processors for `nested: true`", 1, 256, true, true),
            ("boots kernels, not firmware or disks", 1, 256, false, false),
        ] as [(String, Int, UInt64, Bool, Bool)])
    func obstacles(reason: String, cpus: Int, memory: UInt64, nested: Bool, hasKernel: Bool) throws {
        let selection = selection(Self.hardware)
        func group(_ backend: BackendChoice) -> GuestGroup {
            self.group(backend, cpus: cpus, memory: .mebibytes(memory), nested: nested)
        }
        let image = facts(hasKernel: hasKernel)
        let obstacle = MicroVMObstacle(group(.auto), of: image)
        #expect(obstacle?.reason == reason)
        let choice = try selection.choice(for: group(.auto), of: image, obstacle: obstacle)
        #expect(choice.backend.name == "qemu-kvm" && choice.reason == "the built-in backend \(reason)")
        let problem = #expect(throws: Diagnostic.self) {
            try selection.backend(for: group(.kvm), of: image)
        }
        #expect(problem?.category == .specification && problem?.message == "lin: the built-in backend \(reason)")
        #expect(problem?.remedy == "use `backend: auto` or `backend: qemu` for this guest")
    }

    @Test("The limits are the machine's own")
    func limits() {
        #expect(
            MicroVMObstacle(
                group(cpus: 16, memory: .mebibytes(32), networks: ["inside"]), of: facts()) == nil)
    }

    @Test("kvm is refused where the host lacks something, with the remedy")
    func refusals() throws {
        func problem(_ selection: BackendSelection) -> Diagnostic? {
            #expect(throws: Diagnostic.self) {
                try selection.backend(for: group(.kvm), of: facts())
            }
        }
        let absent = problem(selection(Self.none))
        #expect(absent?.category == .host && absent?.cause == "open /dev/kvm: No such file")
        #expect(absent?.remedy == "load kvm_intel; or use `backend: qemu`")
        let missing = problem(selection(Self.hardware, builtIn: Self.noBuiltIn))
        #expect(missing?.message == "the program /x/vmlab-vmm is missing")
    }

    @Test("The command line outweighs the lab")
    func asked() throws {
        let qemu = try selection(Self.hardware, override: .qemu)
            .backend(for: group(.kvm), of: facts())
        #expect(qemu.name == "qemu-kvm")
        let kvm = try selection(Self.hardware, override: .kvm)
            .backend(for: group(.qemu), of: facts())
        #expect(kvm.name == "kvm")
    }

    @Test("N15: who asks for kvm where /dev/kvm interprets kernels is refused, but for freestanding guests")
    func askedInVain() throws {
        let selection = selection(Self.interpreted, override: .kvm)
        let refusal = #expect(throws: Diagnostic.self) {
            try selection.backend(for: group(.qemu), of: facts())
        }
        #expect(refusal?.category == .host)
        #expect(refusal?.cause?.contains("interprets kernel-mode code (1.5 M instructions/s)") == true)
        #expect(refusal?.remedy?.contains("`backend: auto`") == true)
        let image = facts(freestanding: true)
        #expect(try selection.backend(for: group(.auto), of: image).name == "kvm")
    }

    @Test("What nobody asks for may be missing")
    func missing() throws {
        let withoutQEMU = selection(Self.hardware, hasQEMU: false)
        for choice in [BackendChoice.auto, .kvm] {
            #expect(try withoutQEMU.backend(for: group(choice), of: facts()).name == "kvm")
        }
        let nested = group(nested: true)
        let problem = #expect(throws: Diagnostic.self) { try withoutQEMU.backend(for: nested, of: facts()) }
        #expect(problem?.message == "the program qemu-system-x86_64 is missing")
        #expect(problem?.notes.first?.contains("`nested: true`") == true)
        let choice = try selection(Self.hardware, builtIn: Self.noBuiltIn).choice(for: facts())
        #expect(choice.backend.name == "qemu-kvm" && choice.reason == "the program /x/vmlab-vmm is missing")
    }

    @Test("In QEMU a freestanding guest would find no disks and networks")
    func freestandingInQEMU() throws {
        let image = facts(freestanding: true)
        #expect(
            try selection(Self.none).backend(for: group(), of: image).name == "qemu-tcg")
        let joined = group(.qemu, networks: ["inside"])
        let problem = #expect(throws: Diagnostic.self) {
            try selection(Self.hardware).backend(for: joined, of: image)
        }
        #expect(problem?.category == .specification)
    }

    @Test("The monitor is where VMLAB_VMM says, else beside the running program")
    func program() throws {
        #expect(try MicroVMProgram.find(environment: "/bin/sh") == "/bin/sh")
        let problem = #expect(throws: Diagnostic.self) { try MicroVMProgram.find(environment: "/nowhere/vmlab-vmm") }
        #expect(problem?.message == "the program /nowhere/vmlab-vmm is missing")
        #expect(problem?.remedy == "set VMLAB_VMM to the path of vmlab-vmm")
    }
}
