// What probe-start.S does for Swift code: CPL 0's work, and registers of devices.
#pragma once
#include <stdint.h>

// Sleeps until an interrupt. One that came since the last wait ends this one at once.
void probe_wait(void);
// Reads a port so many times, into the buffer.
void probe_read(uint32_t port, uint8_t *_Nonnull buffer, uint32_t count);
// Writes at least one byte to a UART, as it takes them.
void probe_write(uint32_t port, const uint8_t *_Nonnull bytes, uint32_t count);
uint8_t probe_port_read(uint32_t port);
void probe_port_write(uint32_t port, uint8_t value);
void probe_port_write_word(uint32_t port, uint16_t value);
// Makes the next fault the machine's end (a triple fault).
void probe_drop_faults(void);

uint32_t probe_load(uintptr_t address);
void probe_store(uintptr_t address, uint32_t value);
uint16_t probe_load16(uintptr_t address);
void probe_store16(uintptr_t address, uint16_t value);

// A page fault that is forgiven: returns after it.
void probe_crash(void);

// Where RAM begins that nothing of the program is in.
uintptr_t probe_heap_start(void);
