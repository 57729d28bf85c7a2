// The probe's processor: entry, tables, faults and the few things that only CPL 0 may do. See probe.md.
//
// All Swift code runs at CPL 3, with every address open to it: where KVM interprets privileged code (PVM), code at CPL 3
// still runs at the processor's speed. What is here is therefore short. Interrupts are on in `wait` only, so nothing
// ever interrupts Swift code, and an interrupt needs to do no more than end the wait.

        .set    BASE, 0x100000
        .set    KERNEL_CODE, 0x08
        .set    KERNEL_DATA, 0x10
        .set    USER_DATA, 0x1b
        .set    USER_CODE, 0x23
        .set    TASK, 0x28
        .set    LOCAL_APIC_EOI, 0xfee000b0

        .section .start, "awx"
        .globl  probe_start
origin:

// The 64-bit entry of the Linux boot protocol: RSI is the zero page, and the low 4 GiB are mapped as they are.
        .code64
probe_start:
        mov     $pml4, %eax
        mov     %rax, %cr3
        lgdt    gdtr
        mov     %rsi, %rbx
        mov     $1, %ebp
        jmp     start_user

// The entry of the PVH boot protocol: 32-bit protected mode without paging, EBX is the start information.
        .code32
pvh_start:
        lgdt    gdtr
        mov     $pml4, %eax
        mov     %eax, %cr3
        mov     $0x20, %eax             // PAE
        mov     %eax, %cr4
        mov     $0xc0000080, %ecx       // EFER.LME
        rdmsr
        or      $0x100, %eax
        wrmsr
        mov     $0x80000011, %eax       // PG, ET, PE
        mov     %eax, %cr0
        xor     %ebp, %ebp
        ljmp    $KERNEL_CODE, $start_user

// Leaves for Swift: RDI is what the boot loader told, RSI is 1 for Linux' zero page and 0 for PVH's.
        .code64
start_user:
        mov     %cr4, %rax
        or      $0x600, %eax            // OSFXSR, OSXMMEXCPT: Swift code may use SSE
        mov     %rax, %cr4
        mov     %cr0, %rax
        and     $~4, %eax               // no EM
        or      $2, %eax                // MP
        mov     %rax, %cr0
        mov     $TASK, %eax
        ltr     %ax
        lidt    idtr
        mov     $kernel_stack, %esp
        mov     %rbx, %rdi
        mov     %ebp, %esi
        mov     $probe_main, %eax
        push    $USER_DATA
        push    $user_stack - 8
        push    $0x2
        push    $USER_CODE
        push    %rax
        iretq

// System calls: `int3` with the number in EAX, as `call_kernel` below has it.
breakpoint:
        cmp     $1, %eax
        jb      wait
        je      read
        cmp     $3, %eax
        jb      write
        je      port_read
        cmp     $5, %eax
        jb      port_write
        je      port_write_word
        lidt    no_idtr                 // From now on the next fault is the third.
        iretq

// Sleeps until the next interrupt. Whether that comes before or after `hlt`, it returns to Swift for us.
wait:   sti
        hlt
        jmp     wait

interrupt:
        mov     $LOCAL_APIC_EOI, %edx
        xor     %eax, %eax
        mov     %eax, (%rdx)
        mov     $kernel_stack - 40, %esp
        iretq

// ECX bytes of port DX go to RDI.
read:   rep insb
        iretq

// ECX bytes at RSI go to the UART at DX, a FIFO of 16 at a time.
write:  add     $5, %edx
1:      in      %dx, %al
        test    $0x20, %al
        jz      1b
        sub     $5, %edx
        mov     %ecx, %eax
        sub     $16, %eax
        ja      2f
        rep outsb
        iretq
2:      mov     $16, %ecx
        rep outsb
        mov     %eax, %ecx
        jmp     write

port_read:
        in      %dx, %al
        iretq

port_write:
        mov     %ecx, %eax
        out     %al, %dx
        iretq

port_write_word:
        mov     %ecx, %eax
        out     %ax, %dx
        iretq

// The one that `probe_crash` asks for goes on behind it. Any other is Swift's to tell: RDI is the vector, RSI the error code, RDX the place, RCX the address of a page fault.
fault:
        mov     16(%rsp), %rdx
        cmp     $crash, %rdx
        je      1f
        pop     %rdi
        pop     %rsi
        pop     %rdx
        mov     %cr2, %rcx
        mov     $kernel_stack, %esp
        push    $USER_DATA
        push    $fault_stack - 8
        push    $0x2
        push    $USER_CODE
        push    $probe_fault
        iretq
1:      add     $16, %rsp
        movq    $crashed, (%rsp)
        iretq

        .set    STUB, 16
        .balign STUB
fault_stubs:
        .set    vector, 0
        .rept   32
        .balign STUB
        // These push an error code by themselves: #DF, #TS, #NP, #SS, #GP, #PF, #AC, #CP.
        .if     !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21)
        push    $0
        .endif
        push    $vector
        jmp     fault
        .set    vector, vector + 1
        .endr

// Tables, whole in the file: at CPL 0 every instruction that would fill them in may cost a microsecond.
        .macro  gate target, privilege=0
        .set    address, BASE + \target - origin
        .word   address & 0xffff, KERNEL_CODE
        .byte   0, 0x8e | \privilege << 5
        .word   address >> 16
        .quad   0
        .endm

        .balign 16
idt:
        .set    vector, 0
        .rept   32
        .if     vector == 3
        gate    breakpoint, 3
        .else
        gate    fault_stubs + STUB * vector
        .endif
        .set    vector, vector + 1
        .endr
        .rept   32                      // 0x20 to 0x3f: what the interrupt controllers send
        gate    interrupt
        .endr
idt_end:

        .balign 16
gdt:    .quad   0
        .quad   0x00af9b000000ffff      // code, 64 bits
        .quad   0x00cf93000000ffff      // data
        .quad   0x00cff3000000ffff      // data for CPL 3
        .quad   0x00affb000000ffff      // code for CPL 3
        .set    address, BASE + task - origin
        .word   task_end - task - 1, address & 0xffff
        .byte   address >> 16, 0x89, 0, address >> 24
        .quad   0
gdt_end:

// The task state segment: the stack of CPL 0, and no ports for CPL 3.
        .balign 16
task:   .long   0
        .quad   kernel_stack
        .fill   90, 1, 0
        .word   task_end - task
task_end:

gdtr:   .word   gdt_end - gdt - 1
        .quad   gdt
idtr:   .word   idt_end - idt - 1
        .quad   idt
no_idtr:
        .word   0
        .quad   0

// The first GiB and the fourth, as they are, for everyone: RAM, and devices (uncached).
        .balign 4096
pml4:   .quad   pdpt + 7
        .fill   511, 8, 0
pdpt:   .quad   memory + 7, 0, 0, devices + 7
        .fill   508, 8, 0
memory: .set    address, 0
        .rept   512
        .quad   address + 0x87
        .set    address, address + 0x200000
        .endr
devices:
        .set    address, 0xc0000000
        .rept   512
        .quad   address + 0x9f
        .set    address, address + 0x200000
        .endr

// Swift's side of the system calls; probe-hardware.h declares them.
        .macro  call_kernel number
        mov     $\number, %eax
        int3
        ret
        .endm

        .text
        .globl  probe_wait, probe_read, probe_write, probe_port_read, probe_port_write, probe_port_write_word
        .globl  probe_drop_faults
probe_wait:
        call_kernel 0
probe_read:
        mov     %edx, %ecx
        mov     %edi, %edx
        mov     %rsi, %rdi
        call_kernel 1
probe_write:
        mov     %edx, %ecx
        mov     %edi, %edx
        call_kernel 2
probe_port_read:
        mov     %edi, %edx
        call_kernel 3
probe_port_write:
        mov     %edi, %edx
        mov     %esi, %ecx
        call_kernel 4
probe_port_write_word:
        mov     %edi, %edx
        mov     %esi, %ecx
        call_kernel 5
probe_drop_faults:
        call_kernel 6

// Registers of devices: what a compiler must neither merge nor leave out.
        .globl  probe_load, probe_store, probe_load16, probe_store16, probe_crash
probe_load:
        mov     (%rdi), %eax
        ret
probe_store:
        mov     %esi, (%rdi)
        ret

probe_load16:
        movzwl  (%rdi), %eax
        ret
probe_store16:
        mov     %si, (%rdi)
        ret

// A page fault where nothing is mapped, the only one that is survived.
probe_crash:
        mov     $0x40000000, %eax
crash:  mov     (%rax), %eax
crashed:
        ret

// What compilers call without being asked.
        .globl  memcpy, memmove, memset
memmove:
        mov     %rdi, %rax
        sub     %rsi, %rax
        cmp     %rdx, %rax
        jae     memcpy
        mov     %rdi, %rax
        mov     %rdx, %rcx
        lea     -1(%rsi,%rdx), %rsi
        lea     -1(%rdi,%rdx), %rdi
        std
        rep movsb
        cld
        ret
memcpy:
        mov     %rdi, %rax
        mov     %rdx, %rcx
        rep movsb
        ret
memset:
        mov     %rdi, %r8
        mov     %esi, %eax
        mov     %rdx, %rcx
        rep stosb
        mov     %r8, %rax
        ret

// Swift's heap, which Swift itself must not define under these names.
        .globl  posix_memalign, free, probe_heap_start
probe_heap_start:
        mov     $probe_heap, %eax
        ret
posix_memalign:
        jmp     probe_allocate
free:   jmp     probe_release

        .bss
        .balign 16
        .skip   4096
kernel_stack:
        .skip   16384
fault_stack:
        .skip   65536
user_stack:

// XEN_ELFNOTE_PHYS32_ENTRY: where a boot loader that knows PVH enters.
        .section .note.pvh, "a", @note
        .balign 4
        .long   4, 4, 18
        .asciz  "Xen"
        .long   pvh_start
