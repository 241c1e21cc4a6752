//! Memory by its address. A leg's has left the caches when its next frame is due: whoever serves a thousand of them waits for it, unless
//! he asks for it while he serves the one before.
//!
//! Invariant: nobody reads or writes by a region; what it names may be gone.

/// Some memory.
#[derive(Debug, Clone, Copy)]
pub struct Region {
    /// Where it begins.
    pub start: *const u8,
    /// How long it is.
    pub bytes: usize,
}

impl Region {
    /// That of a value, without what it points to.
    pub fn of<T: ?Sized>(value: &T) -> Self {
        Self::at(&raw const *value, size_of_val(value))
    }

    /// So many bytes from there.
    pub fn at<T: ?Sized>(start: *const T, bytes: usize) -> Self {
        Self { start: start.cast(), bytes }
    }
}
