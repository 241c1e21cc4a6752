//! Conversations that this server stored a moment ago: for the agent who opens the page as the database goes away.
//!
//! Invariant: it holds at most [`BYTES_MAX`], and nothing longer than [`KEPT_FOR`] or after its key is void. It is looked at where the database
//! does not answer alone.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bellhop_connect::ports::History;
use tokio::time::Instant;

/// How long somebody may take to open a page that the database had: callers wait for an agent.
const KEPT_FOR: Duration = Duration::from_secs(600);
/// Most bytes of all of them: some thousand conversations.
const BYTES_MAX: usize = 16 << 20;

/// Those of a server.
#[derive(Default)]
pub(super) struct Recent(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    bytes: usize,
    /// The oldest first.
    all: VecDeque<One>,
}

struct One {
    since: Instant,
    filed_as: String,
    history: History,
    reads: Reads,
}

/// How a history may be read, as far as this server knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Reads {
    /// How often it may still be; none for any number.
    pub(super) left: Option<u32>,
    /// Who read it last, as it is kept, and until when that read lasts, in seconds since 1970.
    pub(super) last: Option<(String, i64)>,
}

impl Recent {
    /// The database has one.
    pub(super) fn keep(&self, filed_as: &str, history: &History, left: Option<u32>) {
        let mut kept = self.kept();
        kept.bytes += history.json.len();
        let (since, filed_as, reads) = (Instant::now(), filed_as.to_owned(), Reads { left, last: None });
        kept.all.push_back(One { since, filed_as, history: history.clone(), reads });
        while kept.bytes > BYTES_MAX {
            kept.drop_oldest();
        }
    }

    /// One is not shown any more.
    pub(super) fn forget(&self, filed_as: &str) {
        let Kept { bytes, all } = &mut *self.kept();
        all.retain(|one| {
            let stays = one.filed_as != filed_as;
            *bytes -= if stays { 0 } else { one.history.json.len() };
            stays
        });
    }

    /// One was read.
    pub(super) fn read(&self, filed_as: &str, reader: &str, until_unix: i64) {
        for one in self.kept().all.iter_mut().filter(|one| one.filed_as == filed_as) {
            one.reads.left = one.reads.left.map(|left| left.saturating_sub(1));
            one.reads.last = Some((reader.to_owned(), until_unix));
        }
    }

    /// How one of them may be read.
    pub(super) fn reads(&self, filed_as: &str) -> Option<Reads> {
        self.kept().all.iter().find(|one| one.filed_as == filed_as).map(|one| one.reads.clone())
    }

    /// None is shown any more.
    pub(super) fn forget_all(&self) {
        *self.kept() = Kept::default();
    }

    /// One of them.
    pub(super) fn find(&self, filed_as: &str) -> Option<History> {
        self.kept().all.iter().find(|one| one.filed_as == filed_as).map(|one| one.history.clone())
    }

    /// Without those whose time is over.
    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while kept.all.front().is_some_and(|one| one.since.elapsed() >= KEPT_FOR) {
            kept.drop_oldest();
        }
        kept
    }
}

impl Kept {
    fn drop_oldest(&mut self) {
        self.bytes -= self.all.pop_front().map_or(0, |one| one.history.json.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(length: usize) -> History {
        History { tenant: "acme".into(), json: "x".repeat(length) }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_kept_is_bounded_in_time_and_room() {
        let recent = Recent::default();
        let room = || {
            let kept = recent.kept();
            (kept.bytes, kept.all.len())
        };
        recent.keep("a", &history(10), None);
        recent.keep("b", &history(10), None);
        recent.forget("a");
        assert_eq!((recent.find("a"), recent.find("b")), (None, Some(history(10))));
        tokio::time::advance(KEPT_FOR - Duration::from_secs(1)).await;
        recent.keep("c", &history(20), None);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!((recent.find("b"), recent.find("c")), (None, Some(history(20))));
        recent.keep("d", &history(BYTES_MAX - 20), None);
        assert!(recent.find("c").is_some());
        recent.keep("e", &history(1), None);
        assert_eq!((recent.find("c"), room()), (None, (BYTES_MAX - 19, 2)));
        recent.keep("f", &history(BYTES_MAX + 1), None);
        assert_eq!(room(), (0, 0), "one that is too long is not kept");
        recent.keep("g", &history(1), None);
        recent.forget_all();
        assert_eq!((recent.find("g"), room()), (None, (0, 0)));
    }
}
