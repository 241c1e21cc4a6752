//! Audio that a new connection to a recognizer is told first.
//!
//! Invariant: it is an utterance that has no result yet, of [`BACKLOG_MAX`] at most, with what was before it; or the last
//! half second of a silence.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

/// Audio kept of an utterance that has no result yet: a new connection is told it first.
pub const BACKLOG_MAX: Duration = Duration::from_secs(15);
/// A result that has not come for so long after the end of an utterance does not come.
const RESULT_MAX: Duration = Duration::from_secs(5);
/// Audio kept while nobody speaks: the beginning of a word may lie before voice activity is sure of it.
const OF_SILENCE: Duration = Duration::from_millis(500);

/// The audio, in pieces.
pub(super) struct Backlog {
    pieces: VecDeque<Bytes>,
    bytes: usize,
    bytes_per_second: usize,
    /// Whether somebody speaks, or has spoken and there is no result yet.
    has_words: bool,
    /// Bytes since the end of the utterance, and since its beginning.
    since_end: usize,
    since_begin: usize,
}

impl Backlog {
    pub(super) fn new(bytes_per_second: usize) -> Self {
        Self { pieces: VecDeque::new(), bytes: 0, bytes_per_second, has_words: false, since_end: 0, since_begin: 0 }
    }

    pub(super) fn push(&mut self, piece: Bytes, speaking: bool) {
        self.since_end = if speaking { 0 } else { self.since_end + piece.len() };
        if self.since_end > self.bytes_of(RESULT_MAX) {
            self.has_words = false;
        }
        self.since_begin = self.since_begin.saturating_add(piece.len());
        self.bytes += piece.len();
        self.pieces.push_back(piece);
        self.shorten(if self.has_words { BACKLOG_MAX } else { OF_SILENCE });
    }

    /// An utterance begins.
    pub(super) fn begin(&mut self) {
        self.since_begin = 0;
        self.keep();
    }

    /// What was said is to be kept until there is a result.
    pub(super) fn keep(&mut self) {
        (self.has_words, self.since_end) = (true, 0);
    }

    /// There is a result of an utterance before the one that is being said.
    pub(super) fn forget_before(&mut self) {
        self.shorten_bytes(self.since_begin + self.bytes_of(OF_SILENCE));
    }

    /// There is a result: what follows is another utterance.
    pub(super) fn forget(&mut self) {
        self.has_words = false;
        self.shorten(OF_SILENCE);
        self.pieces.shrink_to(self.pieces.len() * 2);
    }

    /// What there is, oldest first.
    pub(super) fn pieces(&self) -> impl Iterator<Item = &Bytes> + Send {
        self.pieces.iter()
    }

    fn shorten(&mut self, to: Duration) {
        self.shorten_bytes(self.bytes_of(to));
    }

    fn shorten_bytes(&mut self, to: usize) {
        while self.bytes > to
            && let Some(oldest) = self.pieces.pop_front()
        {
            self.bytes -= oldest.len();
        }
    }

    fn bytes_of(&self, time: Duration) -> usize {
        self.bytes_per_second * time.as_millis() as usize / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length(backlog: &Backlog) -> usize {
        assert_eq!(backlog.bytes, backlog.pieces.iter().map(Bytes::len).sum::<usize>());
        backlog.bytes
    }

    #[test]
    fn the_backlog_is_bounded_and_keeps_the_last_half_second() {
        let mut backlog = Backlog::new(8000);
        let piece = || Bytes::from(vec![0; 800]);
        (0..100).for_each(|_| backlog.push(piece(), false));
        assert_eq!(length(&backlog), 4000, "of a silence");
        backlog.keep();
        (0..60).for_each(|_| backlog.push(piece(), true));
        assert_eq!(length(&backlog), 4000 + 60 * 800, "an utterance, and what was before it");
        (0..2000).for_each(|_| backlog.push(piece(), true));
        assert_eq!(length(&backlog), 15 * 8000);
        backlog.forget();
        assert_eq!(length(&backlog), 4000);
    }

    #[test]
    fn the_result_of_one_utterance_leaves_the_next() {
        let mut backlog = Backlog::new(8000);
        let push = |backlog: &mut Backlog, count| (0..count).for_each(|_| backlog.push(vec![0; 800].into(), true));
        backlog.begin();
        push(&mut backlog, 30);
        backlog.begin();
        push(&mut backlog, 20);
        backlog.forget_before();
        assert_eq!(length(&backlog), 4000 + 20 * 800);
        push(&mut backlog, 20);
        assert_eq!(length(&backlog), 4000 + 40 * 800);
    }

    #[test]
    fn an_utterance_is_kept_until_its_result_can_come_no_more() {
        let mut backlog = Backlog::new(8000);
        backlog.keep();
        (0..10).for_each(|_| backlog.push(vec![0; 800].into(), true));
        (0..50).for_each(|_| backlog.push(vec![0; 800].into(), false));
        assert_eq!(length(&backlog), 60 * 800);
        backlog.push(vec![0; 800].into(), false);
        assert_eq!(length(&backlog), 4000);
    }
}
