import Foundation
import KVM
import Testing

@Suite("The sandbox's requests of KVM")
struct RunTimeRequestsTests {
    @Test("S11: each request that the sources make is allowed when the machine runs, or is one that makes machines")
    func complete() throws {
        let sources = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "../../Sources/KVM")
        var used: Set<String> = []
        var allowed: Set<String> = []
        for file in try FileManager.default.contentsOfDirectory(at: sources, includingPropertiesForKeys: nil) {
            let text = try String(contentsOf: file, encoding: .utf8)
            let names = text.matches(of: /vmlab_(KVM_[A-Z0-9_]+)/).map { String($0.output.1) }
            if file.lastPathComponent == "RunTimeRequests.swift" { allowed = Set(names) } else { used.formUnion(names) }
        }
        let makers: Set = [
            "KVM_GET_API_VERSION", "KVM_CREATE_VM", "KVM_CHECK_EXTENSION", "KVM_GET_VCPU_MMAP_SIZE",
            "KVM_GET_SUPPORTED_CPUID", "KVM_GET_MSR_INDEX_LIST", "KVM_SET_TSS_ADDR", "KVM_SET_IDENTITY_MAP_ADDR",
            "KVM_SET_USER_MEMORY_REGION", "KVM_CREATE_IRQCHIP", "KVM_CREATE_VCPU", "KVM_SET_CPUID2",
        ]
        #expect(used == allowed.union(makers))
        #expect(allowed.isDisjoint(with: makers))
        #expect(RunTimeRequests.all.count == allowed.count)
        // KVM_RUN, of asm-generic/ioctl.h's encoding.
        #expect(RunTimeRequests.all.first == 0xae80)
    }
}
