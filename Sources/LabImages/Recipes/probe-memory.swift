// Swift's heap. Blocks come in powers of two; what is given back is kept for the next of its size.

/// RAM above this is left alone: the least machine has 32 MiB.
private let heapEnd: UInt = 31 << 20
/// Before each block: its size's place in `freeBlocks`.
private let headerSize: UInt = 16
private let leastShift: UInt = 5
// Unsafe for the reason that probe-main.swift gives.
private nonisolated(unsafe) var heapTop: UInt = 0
private nonisolated(unsafe) var freeBlocks: InlineArray<32, UInt> = InlineArray(repeating: 0)

/// Begins the heap behind the program.
func startHeap() {
    heapTop = probe_heap_start()
}

/// Memory for devices, a multiple of 4 KiB, zeroed and never given back.
func allocatePages(_ bytes: Int) -> UInt {
    let start = (heapTop + 4095) & ~4095
    heapTop = start + (UInt(bytes) + 4095) & ~4095
    if heapTop > heapEnd { haltForMemory() }
    return start
}

private func haltForMemory() -> Never {
    die(Text("Out of memory"))
}

@c(probe_allocate)
func allocate(_ result: UnsafeMutablePointer<UnsafeMutableRawPointer?>, _ alignment: Int, _ size: Int) -> Int32 {
    // Nothing of ours is aligned to more than the header.
    guard alignment <= Int(headerSize) else { return 22 }
    let needed = UInt(bitPattern: size) + headerSize
    let shift = max(leastShift, UInt(UInt.bitWidth - (needed - 1).leadingZeroBitCount))
    let index = Int(shift - leastShift)
    guard index < freeBlocks.count else { haltForMemory() }
    var block = freeBlocks[index]
    if block != 0 {
        freeBlocks[index] = UnsafePointer<UInt>(bitPattern: block)?.pointee ?? 0
    } else {
        block = heapTop
        heapTop += 1 << shift
        if heapTop > heapEnd { haltForMemory() }
    }
    UnsafeMutablePointer<Int>(bitPattern: block)?.pointee = index
    result.pointee = UnsafeMutableRawPointer(bitPattern: block + headerSize)
    return 0
}

@c(probe_release)
func release(_ pointer: UnsafeMutableRawPointer?) {
    guard let pointer else { return }
    let block = UInt(bitPattern: pointer) - headerSize
    guard let header = UnsafeMutablePointer<UInt>(bitPattern: block) else { return }
    let index = Int(header.pointee)
    header.pointee = freeBlocks[index]
    freeBlocks[index] = block
}
