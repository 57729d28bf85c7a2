// The kernel's KVM interface (Documentation/virt/kvm/api.rst), and names for those request codes that Swift cannot import.
#ifndef VMLAB_CKVM_H
#define VMLAB_CKVM_H
#include <linux/kvm.h>
#include <stdint.h>
#endif
