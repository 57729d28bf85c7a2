// The probe's entries and its exceptions: what Swift cannot say.

    .text
    .code32
// QEMU's way in, by the PVH boot protocol: protected mode, EBX = hvm_start_info, whose 24th byte begins the address of
// the command line. Maps the low 4 GiB one to one in pages of 2 MiB and goes on in long mode.
pvhStart:
    cli
    cld
    mov %ebx, %esi
    movl $(pageTables + 0x1003), pageTables
    mov $(pageTables + 0x2003), %eax
    mov $(pageTables + 0x1000), %edi
1:  mov %eax, (%edi)
    add $8, %edi
    add $0x1000, %eax
    cmp $(pageTables + 0x1020), %edi
    jne 1b
    mov $0x83, %eax
    mov $(pageTables + 0x2000), %edi
1:  mov %eax, (%edi)
    add $8, %edi
    add $0x200000, %eax
    jnc 1b
    mov %cr4, %eax
    or $0x20, %eax
    mov %eax, %cr4
    mov $pageTables, %eax
    mov %eax, %cr3
    mov $0xc0000080, %ecx
    rdmsr
    or $0x100, %eax
    wrmsr
    mov %cr0, %eax
    or $0x80000000, %eax
    mov %eax, %cr0
    lgdt descriptorTablePointer
    ljmp $0x10, $1f
    .code64
1:  mov $0x18, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov %esi, %esi
    lea 24(%rsi), %rdi
    jmp start

// The way in by the Linux boot protocol: long mode, the low 4 GiB mapped one to one, RSI = the zero page.
    .globl _start
_start:
    cli
    cld
    lea 0x228(%rsi), %rdi
start:
    lea stackTop(%rip), %rsp
    xor %ebp, %ebp
    call probe_main
1:  hlt
    jmp 1b

// Waits for an interrupt with interrupts on; they are off everywhere else, so Swift code is never interrupted.
    .globl probe_wait
probe_wait:
    sti
    hlt
    cli
    ret

// Burns processor time until an interrupt comes.
    .globl probe_spin
probe_spin:
    movl $0, interrupted(%rip)
    sti
1:  cmpl $0, interrupted(%rip)
    je 1b
    cli
    ret

// int probe_try(int (*body)(void)): the body's result, or -1 when the processor faulted in it.
    .globl probe_try
probe_try:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    pushq rescue(%rip)
    mov %rsp, rescue(%rip)
    call *%rdi
2:  popq rescue(%rip)
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret

// An access where nothing is mapped.
    .globl probe_fault
probe_fault:
    mov $0x200000000000, %rax
    mov %rax, (%rax)
    ret

// A fault that nobody can take: the processor gives up, which resets the machine.
    .globl probe_triple_fault
probe_triple_fault:
    lidt noInterrupts(%rip)
    ud2

// Exception handlers, 16 bytes each: the vector's number, then the common path. Nothing returns from an exception,
// so error codes may stay where they are.
    .balign 16
    .globl probe_exceptions
probe_exceptions:
    .set vector, 0
    .rept 32
    .balign 16
    mov $vector, %edi
    jmp exception
    .set vector, vector + 1
    .endr

    .balign 16
exception:
    mov (%rsp), %rsi
    mov rescue(%rip), %rax
    test %rax, %rax
    jz 1f
    mov %rax, %rsp
    mov $-1, %eax
    jmp 2b
1:  call probe_exception

// Devices only wake: who waits looks for itself what has come.
    .balign 16
    .globl probe_interrupt
probe_interrupt:
    push %rax
    movl $1, interrupted(%rip)
    mov $0xfee000b0, %eax
    movl $0, (%rax)
    pop %rax
    iretq

    .balign 16
    .globl probe_spurious
probe_spurious:
    iretq

// What compilers call for copies and fills; byte by byte, as every interpreter knows.
    .globl memcpy, memmove, memset
memmove:
    cmp %rdi, %rsi
    jb 2f
memcpy:
    mov %rdi, %rax
1:  test %rdx, %rdx
    jz 3f
    mov (%rsi), %cl
    mov %cl, (%rdi)
    inc %rsi
    inc %rdi
    dec %rdx
    jmp 1b
2:  mov %rdi, %rax
1:  test %rdx, %rdx
    jz 3f
    dec %rdx
    mov (%rsi,%rdx), %cl
    mov %cl, (%rdi,%rdx)
    jmp 1b
memset:
    mov %rdi, %rax
1:  test %rdx, %rdx
    jz 3f
    mov %sil, (%rdi)
    inc %rdi
    dec %rdx
    jmp 1b
3:  ret

    .section .rodata
    .balign 8
descriptorTable:
    .quad 0, 0, 0x00af9b000000ffff, 0x00cf93000000ffff
descriptorTablePointer:
    .short 31
    .long descriptorTable

    .section .note.pvh, "a", @note
    .balign 4
    .long 4, 4, 18
    .asciz "Xen"
    .long pvhStart

    .bss
    .balign 4096
pageTables:
    .space 0x6000
    .space 0x20000
stackTop:
rescue: .quad 0
interrupted: .long 0
noInterrupts: .quad 0, 0

    .section .note.GNU-stack, "", @progbits
