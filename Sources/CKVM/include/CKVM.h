// The kernel's KVM interface (Documentation/virt/kvm/api.rst).
//
// The request codes are function-like macros, which Swift does not import; here they get names.
#ifndef VMLAB_CKVM_H
#define VMLAB_CKVM_H

#include <errno.h>
#include <linux/kvm.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/ioctl.h>

#define VMLAB_REQUEST(name) static const unsigned long vmlab_##name = name

VMLAB_REQUEST(KVM_GET_API_VERSION);
VMLAB_REQUEST(KVM_CREATE_VM);
VMLAB_REQUEST(KVM_CHECK_EXTENSION);
VMLAB_REQUEST(KVM_GET_VCPU_MMAP_SIZE);
VMLAB_REQUEST(KVM_GET_SUPPORTED_CPUID);
VMLAB_REQUEST(KVM_GET_MSR_INDEX_LIST);

VMLAB_REQUEST(KVM_SET_TSS_ADDR);
VMLAB_REQUEST(KVM_SET_IDENTITY_MAP_ADDR);
VMLAB_REQUEST(KVM_SET_USER_MEMORY_REGION);
VMLAB_REQUEST(KVM_CREATE_IRQCHIP);
VMLAB_REQUEST(KVM_CREATE_VCPU);
VMLAB_REQUEST(KVM_IRQFD);
VMLAB_REQUEST(KVM_IOEVENTFD);
VMLAB_REQUEST(KVM_REGISTER_COALESCED_MMIO);
VMLAB_REQUEST(KVM_UNREGISTER_COALESCED_MMIO);
VMLAB_REQUEST(KVM_GET_IRQCHIP);
VMLAB_REQUEST(KVM_SET_IRQCHIP);
VMLAB_REQUEST(KVM_GET_CLOCK);
VMLAB_REQUEST(KVM_SET_CLOCK);

VMLAB_REQUEST(KVM_RUN);
VMLAB_REQUEST(KVM_GET_REGS);
VMLAB_REQUEST(KVM_SET_REGS);
VMLAB_REQUEST(KVM_GET_SREGS);
VMLAB_REQUEST(KVM_SET_SREGS);
VMLAB_REQUEST(KVM_GET_FPU);
VMLAB_REQUEST(KVM_SET_FPU);
VMLAB_REQUEST(KVM_GET_LAPIC);
VMLAB_REQUEST(KVM_SET_LAPIC);
VMLAB_REQUEST(KVM_SET_CPUID2);
VMLAB_REQUEST(KVM_GET_MSRS);
VMLAB_REQUEST(KVM_SET_MSRS);
VMLAB_REQUEST(KVM_GET_MP_STATE);
VMLAB_REQUEST(KVM_SET_MP_STATE);
VMLAB_REQUEST(KVM_SET_VCPU_EVENTS);
VMLAB_REQUEST(KVM_KVMCLOCK_CTRL);
VMLAB_REQUEST(KVM_GET_XSAVE);
VMLAB_REQUEST(KVM_SET_XSAVE);
VMLAB_REQUEST(KVM_GET_XCRS);
VMLAB_REQUEST(KVM_SET_XCRS);
VMLAB_REQUEST(KVM_GET_DEBUGREGS);
VMLAB_REQUEST(KVM_SET_DEBUGREGS);
VMLAB_REQUEST(KVM_GET_VCPU_EVENTS);
VMLAB_REQUEST(KVM_GET_TSC_KHZ);
VMLAB_REQUEST(KVM_SET_TSC_KHZ);
VMLAB_REQUEST(KVM_GET_DEVICE_ATTR);
VMLAB_REQUEST(KVM_SET_DEVICE_ATTR);

#undef VMLAB_REQUEST

// ioctl is variadic, which Swift does not import.
static inline int vmlab_kvm(int descriptor, unsigned long request, void *argument) {
    return ioctl(descriptor, request, argument);
}

// The byte that makes KVM_RUN return at once is written by other threads than the one that runs.
static inline void vmlab_set_immediate_exit(struct kvm_run *run, uint8_t value) {
    __atomic_store_n(&run->immediate_exit, value, __ATOMIC_SEQ_CST);
}

// The ring of coalesced writes is shared with the kernel: what lies between first and last is ours to read.
static inline uint32_t vmlab_ring_last(struct kvm_coalesced_mmio_ring *ring) {
    return __atomic_load_n(&ring->last, __ATOMIC_ACQUIRE);
}
static inline void vmlab_ring_take(struct kvm_coalesced_mmio_ring *ring, uint32_t first) {
    __atomic_store_n(&ring->first, first, __ATOMIC_RELEASE);
}
static inline struct kvm_coalesced_mmio *vmlab_ring_entry(struct kvm_coalesced_mmio_ring *ring, uint32_t index) {
    return &ring->coalesced_mmio[index];
}

#endif
