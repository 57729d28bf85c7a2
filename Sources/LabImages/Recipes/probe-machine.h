// Single instructions that Swift has no words for, and what probe-start.S defines.
#pragma once

static inline void outb(unsigned short port, unsigned char value) {
    __asm__ volatile("outb %0, %1" : : "a"(value), "d"(port) : "memory");
}

static inline unsigned char inb(unsigned short port) {
    unsigned char value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "d"(port) : "memory");
    return value;
}

// Plain 32-bit moves: an interpreting kernel knows few others at device registers.
static inline unsigned readRegister(unsigned long address) {
    unsigned value;
    __asm__ volatile("movl (%1), %0" : "=a"(value) : "d"(address) : "memory");
    return value;
}

static inline void writeRegister(unsigned long address, unsigned value) {
    __asm__ volatile("movl %0, (%1)" : : "a"(value), "d"(address) : "memory");
}

static inline void barrier(void) { __asm__ volatile("" : : : "memory"); }

static inline unsigned short codeSegment(void) {
    unsigned short value;
    __asm__ volatile("movw %%cs, %0" : "=r"(value));
    return value;
}

static inline void loadInterruptTable(unsigned long base, unsigned short bytes) {
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

static inline unsigned long exceptionHandlers(void) { return (unsigned long)probe_exceptions; }
static inline unsigned long interruptHandler(void) { return (unsigned long)probe_interrupt; }
static inline unsigned long spuriousHandler(void) { return (unsigned long)probe_spurious; }
