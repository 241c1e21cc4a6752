//! `calls/{call}/recording`: what was heard, whole or in parts (RFC 9110 section 14), so that a player may seek.
//!
//! Invariants: nobody listens but whoever the audit names: where it cannot be told, nothing is heard. A recording is read as it is sent,
//! [`PIECE_BYTES`] at a time, by a bounded number of listeners.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_RANGE;
use actix_web::web::Bytes;
use bellhop_tenancy::access::Role;
use bellhop_tenancy::id::Id;
use bellhop_tenancy::store::{AuditOutcome, NewAuditLine};
use futures_util::StreamExt;
use futures_util::stream;
use tokio::time::Instant;

use super::asked::Asked;
use super::calls;
use super::given::{Given, Part};
use super::readers::{Place, Readers};
use super::route::{OF_TENANT, Outcome, Route};
use crate::ports::Recording;
use crate::problem::Problem;

/// How much is read at a time.
const PIECE_BYTES: usize = 64 * 1024;
/// Listeners at once, and of these those of one person: a player that seeks opens the next before it closes the last.
static LISTENERS: Readers = Readers::of(64, 8, "too many listen to recordings");
/// For how long somebody who seeks in a recording is one who listens to it once.
const LISTENING: Duration = Duration::from_secs(1800);
/// Most of those that are remembered; of who is forgotten the next request is told as another listening.
const LISTENINGS_MAX: usize = 256;
/// Those that the audit was told of: by whom (their session or token), to what, and when.
static LISTENINGS: Mutex<VecDeque<(Option<Id>, String, Instant)>> = Mutex::new(VecDeque::new());

pub(super) fn routes() -> Vec<Route> {
    let what = "Plays the recording of a call that is over, as a stereo WAV file (`Range` for parts of it), from the server that had the call";
    vec![
        Route::get("/calls/{call}/recording", Role::Viewer, what, play)
            .with(OF_TENANT)
            .gives_parts("audio/wav")
            .may(StatusCode::RANGE_NOT_SATISFIABLE),
    ]
}

async fn play(asked: Asked) -> Outcome {
    let tenant = calls::tenant(&asked).await?;
    let kept = calls::kept(&asked, tenant.as_deref(), asked.name("call")?).await?;
    let recording = asked.ports.recordings.find(kept.tenant.clone(), kept.call.clone()).await;
    let recording = recording.map_err(|error| unreadable(&error))?.ok_or_else(Problem::not_found)?;
    let of = recording.bytes();
    let wanted = wanted(asked.range.as_deref(), of).ok_or_else(|| {
        let detail = format!("the recording has {of} bytes, and nothing of it was asked for");
        Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, detail).with(CONTENT_RANGE, &format!("bytes */{of}"))
    })?;
    let place = LISTENERS.place(&asked.by)?;
    audited(&asked, &kept.session).await?;
    let (from, to) = wanted.unwrap_or((0, of));
    let listener = Listener { recording: Arc::from(recording), at: from, to, _place: place };
    let pieces = stream::unfold(Some(listener), |listener| async move {
        let listener = listener?;
        listener.next().await
    });
    Ok(Given::part(Part { media_type: "audio/wav", of, wanted, pieces: pieces.boxed_local() }))
}

fn unreadable(error: &std::io::Error) -> Problem {
    tracing::warn!(%error, "a recording cannot be read");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the recording cannot be read: ask again")
        .retry_after(Duration::from_secs(10))
}

/// Whoever listens.
struct Listener {
    recording: Arc<dyn Recording>,
    at: u64,
    /// Where it ends.
    to: u64,
    _place: Place,
}

type Piece = Result<Bytes, actix_web::Error>;

impl Listener {
    async fn next(mut self) -> Option<(Piece, Option<Self>)> {
        let left = usize::try_from(self.to - self.at).unwrap_or(usize::MAX);
        if left == 0 {
            return None;
        }
        match self.recording.read(self.at, left.min(PIECE_BYTES)).await {
            Ok(piece) if !piece.is_empty() => {
                self.at += piece.len() as u64;
                Some((Ok(Bytes::from(piece)), Some(self)))
            }
            // It was deleted or cut off: whoever listens is told by the connection, since the status was sent before.
            Ok(_) => Some((Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into()), None)),
            Err(error) => Some((Err(error.into()), None)),
        }
    }
}

/// Tells the audit of somebody who begins to listen.
async fn audited(asked: &Asked, session: &str) -> Result<(), Problem> {
    let who = asked.by.signed_in.credential();
    let listens = |(of, what, since): &(Option<Id>, String, Instant)| {
        *of == who && what == session && since.elapsed() < LISTENING
    };
    if LISTENINGS.lock().unwrap_or_else(PoisonError::into_inner).iter().any(listens) {
        return Ok(());
    }
    let (action, tenant, on) = ("call.listen".to_owned(), calls::of_whom(asked).await?, Some(session.to_owned()));
    let line = NewAuditLine { action, tenant, on, outcome: AuditOutcome::Done };
    asked.ports.store.note(&asked.by, line).await?;
    let mut all = LISTENINGS.lock().unwrap_or_else(PoisonError::into_inner);
    if all.len() == LISTENINGS_MAX {
        all.pop_front();
    }
    all.push_back((who, session.to_owned(), Instant::now()));
    Ok(())
}

/// Which bytes a `Range` wants, from the first to behind the last: all (`Some(None)`), these, or none that are there (`None`). What is no
/// range of bytes, or several, is passed over, as RFC 9110 section 14.2 allows.
fn wanted(range: Option<&str>, of: u64) -> Option<Option<(u64, u64)>> {
    let one = range.and_then(|range| range.trim().strip_prefix("bytes=")).filter(|range| !range.contains(','));
    let Some((first, last)) = one.and_then(|range| range.split_once('-')) else { return Some(None) };
    let number = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
        // A number that is too large to be one is behind every end.
        is_number.then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    let (from, to) = match (number(first.trim()), number(last.trim())) {
        (Some(first), Some(last)) if first <= last => (first, last.saturating_add(1).min(of)),
        (Some(first), None) if last.trim().is_empty() => (first, of),
        (None, Some(count)) if first.trim().is_empty() => (of.saturating_sub(count), of),
        _ => return Some(None),
    };
    (from < to).then_some(Some((from, to)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_read_as_the_rfc_says() {
        for (range, expected) in [
            ("bytes=0-", Some(Some((0, 100)))),
            ("bytes=0-0", Some(Some((0, 1)))),
            ("bytes=10-19", Some(Some((10, 20)))),
            ("bytes=90-500", Some(Some((90, 100)))),
            ("bytes=-10", Some(Some((90, 100)))),
            ("bytes=-500", Some(Some((0, 100)))),
            ("bytes=100-", None),
            ("bytes=-0", None),
            ("bytes=99999999999999999999999-", None),
            ("bytes=5-4", Some(None)),
            ("bytes=0-1,5-6", Some(None)),
            ("bytes=a-b", Some(None)),
            ("bytes=-", Some(None)),
            ("lines=1-2", Some(None)),
            ("", Some(None)),
        ] {
            assert_eq!(wanted(Some(range), 100), expected, "{range}");
        }
        assert_eq!((wanted(None, 100), wanted(Some("bytes=0-"), 0)), (Some(None), None));
    }
}
