import Diagnostics
import HostSystem
import LabEngine
import LabSpec
import Testing

@testable import LabMachines

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

    private func facts(_ start: ImageStart = .linuxKernel) -> ImageFacts {
        ImageFacts(os: .linux, defaultMemory: .mebibytes(256), minimumMemory: .mebibytes(32), start: start)
    }

    private func group(
        _ backend: BackendChoice = .auto, cpus: Int = 1, memory: ByteCount? = nil
    ) -> GuestGroup {
        GuestGroup(name: "lin", image: "debian", memory: memory, cpus: cpus, backend: backend)
    }

    @Test(
        "auto: Linux on hardware KVM and freestanding guests on any are the built-in machine's, the rest is QEMU's",
        arguments: [
            (Self.hardware, ImageStart.linuxKernel, "kvm", "this host's /dev/kvm runs it"),
            (Self.hardware, .freestanding, "kvm", "this host's /dev/kvm runs it"),
            (
                Self.hardware, .firmware, "qemu-kvm",
                "the guest boots by firmware, which the built-in machine does not have"
            ),
            (
                Self.interpreted, .linuxKernel, "qemu-tcg",
                "this host's /dev/kvm interprets kernel-mode code, on which Linux does not come up"
            ),
            (Self.interpreted, .freestanding, "kvm", "this host's /dev/kvm runs it"),
            (Self.none, .linuxKernel, "qemu-tcg", "this host has no usable /dev/kvm"),
            (Self.none, .freestanding, "qemu-tcg", "this host has no usable /dev/kvm"),
        ])
    func automatic(probe: KVMProbe, start: ImageStart, name: String, reason: String) throws {
        let choice = try selection(probe).choice(for: group(), image: facts(start), hasOutside: false)
        #expect(choice.backend.name == name)
        #expect(choice.reason == reason)
    }

    @Test("auto leaves to QEMU what the built-in machine is not made for")
    func obstacles() throws {
        let selection = selection(Self.hardware)
        let outside = try selection.choice(for: group(), image: facts(), hasOutside: true)
        #expect(outside.backend.name == "qemu-kvm" && outside.reason.contains("`nat`"))
        let large = try selection.choice(for: group(cpus: 17), image: facts(), hasOutside: false)
        #expect(large.backend.name == "qemu-kvm" && large.reason.contains("17 vCPUs"))
        let small = try selection.choice(for: group(memory: .mebibytes(31)), image: facts(), hasOutside: false)
        #expect(small.backend.name == "qemu-kvm" && small.reason.contains("31MiB"))
    }

    @Test("kvm is refused where it cannot be, with the remedy")
    func refusals() throws {
        func problem(_ selection: BackendSelection, _ group: GuestGroup, _ image: ImageFacts, outside: Bool = false)
            -> Diagnostic?
        {
            #expect(throws: Diagnostic.self) {
                try selection.backend(for: group, image: image, hasOutside: outside)
            }
        }
        let outside = problem(selection(Self.hardware), group(.kvm), facts(), outside: true)
        #expect(outside?.category == .specification)
        #expect(outside?.message == "lin is on a network with `nat`, which the built-in machine cannot reach")
        #expect(outside?.remedy == "use `backend: qemu` for this guest")
        #expect(problem(selection(Self.hardware), group(.kvm), facts(.firmware))?.category == .specification)
        #expect(problem(selection(Self.hardware), group(.kvm, cpus: 64), facts())?.category == .specification)
        let absent = problem(selection(Self.none), group(.kvm), facts())
        #expect(absent?.category == .host && absent?.cause == "open /dev/kvm: No such file")
        #expect(absent?.remedy == "load kvm_intel; or use `backend: auto`")
        let missing = problem(selection(Self.hardware, builtIn: Self.noBuiltIn), group(.kvm), facts())
        #expect(missing?.message == "the program /x/vmlab-vmm is missing")
    }

    @Test("The command line outweighs the lab; who asks for kvm gets it on an interpreting /dev/kvm too")
    func asked() throws {
        let qemu = try selection(Self.hardware, override: .qemu)
            .backend(for: group(.kvm), image: facts(), hasOutside: true)
        #expect(qemu.name == "qemu-kvm")
        let kvm = try selection(Self.interpreted, override: .kvm)
            .backend(for: group(.qemu), image: facts(), hasOutside: false)
        #expect(kvm.name == "kvm")
    }

    @Test("What nobody asks for may be missing")
    func missing() throws {
        let withoutQEMU = selection(Self.hardware, hasQEMU: false)
        #expect(try withoutQEMU.backend(for: group(), image: facts(), hasOutside: false).name == "kvm")
        #expect(try withoutQEMU.backend(for: group(.kvm), image: facts(), hasOutside: false).name == "kvm")
        let problem = #expect(throws: Diagnostic.self) {
            try withoutQEMU.backend(for: group(), image: facts(), hasOutside: true)
        }
        #expect(problem?.message == "the program qemu-system-x86_64 is missing")
        #expect(problem?.notes.first?.contains("`nat`") == true)
        let withoutBuiltIn = selection(Self.hardware, builtIn: Self.noBuiltIn)
        let choice = try withoutBuiltIn.choice(for: group(), image: facts(), hasOutside: false)
        #expect(choice.backend.name == "qemu-kvm" && choice.reason == "the program /x/vmlab-vmm is missing")
    }

    @Test("The monitor is where VMLAB_VMM says, else beside the running program")
    func program() throws {
        #expect(try MicroVMProgram.find(environment: "/bin/sh") == "/bin/sh")
        let problem = #expect(throws: Diagnostic.self) { try MicroVMProgram.find(environment: "/nowhere/vmlab-vmm") }
        #expect(problem?.message == "the program /nowhere/vmlab-vmm is missing")
        #expect(problem?.remedy == "set VMLAB_VMM to the path of vmlab-vmm")
    }
}
