import CKVM
import HostSystem
import KVM
import VirtualHardware

/// The initial state of the first vCPU, as the boot protocols require.
enum StartState {
    // Segment descriptors (Intel SDM volume 3, 3.4.5) of the 64-bit entry: null, unused, code at 0x10, data at 0x18, TSS.
    private static let codeSegment: UInt64 = 0x00af_9b00_0000_ffff
    private static let dataSegment: UInt64 = 0x00cf_9300_0000_ffff
    private static let taskSegment: UInt64 = 0x008f_8b00_0000_ffff

    private static let protectedMode: UInt64 = 1
    private static let extensionType: UInt64 = 1 << 4
    private static let numericError: UInt64 = 1 << 5
    private static let paging: UInt64 = 1 << 31
    private static let physicalAddressExtension: UInt64 = 1 << 5
    private static let longModeEnabled: UInt64 = 1 << 8
    private static let longModeActive: UInt64 = 1 << 10

    /// Writes the data for the entry into guest memory and sets the vCPU's registers.
    static func apply(_ entry: GuestLoader.Entry, to vcpu: borrowing VCPU, memory: GuestMemory) throws {
        var system = try vcpu.systemRegisters()
        var registers = kvm_regs()
        registers.rflags = 2
        switch entry {
        case .long(let address):
            try writeDescriptorTable(memory)
            try writePageTables(memory)
            let code = segment(selector: 0x10, type: 11, isLong: true)
            let data = segment(selector: 0x18, type: 3, isLong: false)
            system.cs = code
            (system.ds, system.es, system.fs, system.gs, system.ss) = (data, data, data, data, data)
            system.tr = taskState(selector: 0x20)
            system.gdt.base = MachineLayout.descriptorTable
            system.gdt.limit = 39
            system.idt.base = MachineLayout.interruptTable
            system.idt.limit = 7
            system.cr0 = protectedMode | extensionType | numericError | paging
            system.cr3 = MachineLayout.pageTables
            system.cr4 = physicalAddressExtension
            system.efer = longModeEnabled | longModeActive
            registers.rip = address
            registers.rsi = MachineLayout.zeroPage
            registers.rsp = MachineLayout.stackTop
            registers.rbp = MachineLayout.stackTop
        case .startInfo(let address):
            let data = segment(selector: 0x18, type: 3, isLong: false)
            system.cs = segment(selector: 0x10, type: 11, isLong: false)
            (system.ds, system.es, system.fs, system.gs, system.ss) = (data, data, data, data, data)
            system.tr = taskState(selector: 0x20)
            system.cr0 = protectedMode | extensionType
            system.cr4 = 0
            system.efer = 0
            registers.rip = UInt64(address)
            registers.rbx = MachineLayout.startInfo
        }
        try vcpu.setSystemRegisters(system)
        try vcpu.setRegisters(registers)
    }

    private static func segment(selector: UInt16, type: UInt8, isLong: Bool) -> kvm_segment {
        var segment = kvm_segment()
        segment.limit = 0xffff_ffff
        segment.selector = selector
        segment.type = type
        segment.present = 1
        segment.s = 1
        segment.g = 1
        segment.l = isLong ? 1 : 0
        segment.db = isLong ? 0 : 1
        return segment
    }

    private static func taskState(selector: UInt16) -> kvm_segment {
        var segment = kvm_segment()
        segment.limit = 0x67
        segment.selector = selector
        segment.type = 11
        segment.present = 1
        return segment
    }

    private static func writeDescriptorTable(_ memory: GuestMemory) throws(GuestMemoryError) {
        for (index, descriptor) in [0, 0, codeSegment, dataSegment, taskSegment].enumerated() {
            try memory.store(descriptor, at: MachineLayout.descriptorTable + UInt64(index) * 8)
        }
    }

    /// The first 4 GiB at their own addresses, in pages of 2 MiB.
    private static func writePageTables(_ memory: GuestMemory) throws(GuestMemoryError) {
        let presentWritable: UInt64 = 3
        let large: UInt64 = 1 << 7
        let table = MachineLayout.pageTables
        try memory.store(table + 0x1000 | presentWritable, at: table)
        for gibibyte in 0..<UInt64(4) {
            let directory = table + 0x2000 + gibibyte * 0x1000
            try memory.store(directory | presentWritable, at: table + 0x1000 + gibibyte * 8)
            for entry in 0..<UInt64(512) {
                try memory.store(gibibyte << 30 | entry << 21 | large | presentWritable, at: directory + entry * 8)
            }
        }
    }
}
