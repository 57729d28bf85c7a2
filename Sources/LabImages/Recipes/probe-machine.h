// Single instructions that Swift has no words for, and what probe-start.S defines.
#pragma once

#define inline_ static inline __attribute__((always_inline))

inline_ void outb(unsigned short port, unsigned char value) {
    __asm__ volatile("outb %0, %1" : : "a"(value), "d"(port) : "memory");
}

inline_ void outw(unsigned short port, unsigned short value) {
    __asm__ volatile("outw %0, %1" : : "a"(value), "d"(port) : "memory");
}

inline_ unsigned char inb(unsigned short port) {
    unsigned char value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "d"(port) : "memory");
    return value;
}

// Plain 32-bit moves: an interpreting kernel knows few others at device registers.
inline_ unsigned readRegister(unsigned long address) {
    unsigned value;
    __asm__ volatile("movl (%1), %0" : "=a"(value) : "d"(address) : "memory");
    return value;
}

inline_ void writeRegister(unsigned long address, unsigned value) {
    __asm__ volatile("movl %0, (%1)" : : "a"(value), "d"(address) : "memory");
}

inline_ void barrier(void) { __asm__ volatile("" : : : "memory"); }

inline_ unsigned short codeSegment(void) {
    unsigned short value;
    __asm__ volatile("movw %%cs, %0" : "=r"(value));
    return value;
}

inline_ void loadInterruptTable(unsigned long base, unsigned short bytes) {
    struct __attribute__((packed)) { unsigned short limit; unsigned long base; } table = { bytes - 1, base };
    __asm__ volatile("lidt %0" : : "m"(table) : "memory");
}

void probe_wait(void);
void probe_spin(void);
int probe_try(int (*body)(void));
void probe_fault(void);
void probe_triple_fault(void) __attribute__((noreturn));
void probe_exceptions(void);
void probe_interrupt(void);
void probe_spurious(void);

inline_ unsigned long exceptionHandlers(void) { return (unsigned long)probe_exceptions; }
inline_ unsigned long interruptHandler(void) { return (unsigned long)probe_interrupt; }
inline_ unsigned long spuriousHandler(void) { return (unsigned long)probe_spurious; }
