import CLinux
import Glibc

/// Waits on an epoll descriptor on this thread and hands on what is ready, for as long as `goesOn`.
///
/// The kernel's answers go into memory of this call and not into an array: optimized, Swift 6.3 makes a new array for each
/// `epoll_wait` where a loop goes through a slice of it, and never frees one of them (1.5 KiB for each wakeup).
func forEachReady(_ epoll: Int32, while goesOn: () -> Bool, _ handle: (epoll_event) -> Void) {
    let ready = UnsafeMutableBufferPointer<epoll_event>.allocate(capacity: 128)
    defer { ready.deallocate() }
    while goesOn() {
        let count = epoll_wait(epoll, ready.baseAddress, Int32(ready.count), -1)
        for index in 0..<max(Int(count), 0) { handle(ready[index]) }
    }
}
