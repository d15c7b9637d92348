//! What the system's allocator does with memory that libav gives back.

/// Allocators of their own that threads share (glibc's arenas). Each keeps what was freed in it, and a cut is prepared by
/// whichever worker is free: with an arena a thread, as many cuts' worth of pictures stay.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const ARENAS: i32 = 2;

/// Bounds how many heaps hold memory that was given back. Called once, before threads are started; other allocators than
/// glibc's are left alone.
pub fn share_heaps() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: sets a number that glibc reads when a thread allocates for the first time.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, ARENAS);
    }
}

/// Hands free memory back to the system: after work that held pictures, most of what it took.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: looks at free chunks alone, under the allocator's own locks.
    unsafe {
        libc::malloc_trim(0);
    }
}
