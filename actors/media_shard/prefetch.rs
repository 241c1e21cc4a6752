//! Asks for memory before it is needed.
//!
//! Invariant: it is a hint. Nothing is read, and no address is wrong.

use bellhop_media::region::Region;

/// Bytes that a cache holds as one.
const LINE_BYTES: usize = 64;

/// Asks for every line of a region.
#[cfg(target_arch = "x86_64")]
pub(super) fn prefetch(region: Region) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};

    let within = region.start.addr() % LINE_BYTES;
    for line in 0..(within + region.bytes).div_ceil(LINE_BYTES) {
        // SAFETY: it is a hint that reads nothing and fails for no address (Intel SDM, PREFETCHh).
        unsafe { _mm_prefetch::<_MM_HINT_T0>(region.start.wrapping_add(line * LINE_BYTES).cast()) };
    }
}

/// Nothing that stable Rust knows a hint for.
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn prefetch(_: Region) {}
