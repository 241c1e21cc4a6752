//! What a machine of a call has still to say.
//!
//! Invariant: a queue that is drained holds no room: bursts are few, and calls are long.

use std::collections::VecDeque;

/// The next output, in order; the room of the queue is given back with the last.
pub fn next<T>(queue: &mut VecDeque<T>) -> Option<T> {
    let next = queue.pop_front();
    if next.is_none() {
        *queue = VecDeque::new();
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_that_is_drained_holds_no_room() {
        let mut queue: VecDeque<u8> = (0..100).collect();
        assert!(std::iter::from_fn(|| next(&mut queue)).eq(0..100));
        assert_eq!(queue.capacity(), 0);
    }
}
