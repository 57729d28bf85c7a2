// The probe's entry and its exceptions: what Swift cannot say. 64-bit long mode, the low 4 GiB mapped one to one,
// RSI = the zero page of the Linux boot protocol.

    .text
    .globl _start
_start:
    cli
    cld
    lea stackTop(%rip), %rsp
    mov %rsi, %rdi
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

    .bss
    .balign 16
    .space 0x20000
stackTop:
rescue: .quad 0
interrupted: .long 0
noInterrupts: .quad 0, 0

    .section .note.GNU-stack, "", @progbits
