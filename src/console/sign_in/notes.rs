//! What the audit is told of who tried to sign in.
//!
//! Invariant: every failure is noted or counted: of a flood so many are noted one by one as a person can read, and the
//! next note says how many there were besides. No note holds a secret.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bellhop_tenancy::access::{Author, SignedIn};
use bellhop_tenancy::store::{AuditOutcome, NewAuditLine, StoreError};

use super::Ports;

/// Failures that are noted one by one in each [`WINDOW`].
const NOTED_MAX: NonZeroU32 = NonZeroU32::new(60).expect("more than none");
/// The time that they are counted in.
const WINDOW: Duration = Duration::from_secs(60);
/// Most characters of a login that somebody types.
const LOGIN_SHOWN: usize = 256;

/// Notes of a server.
#[derive(Default)]
pub(super) struct Notes {
    window: Mutex<(Duration, u32)>,
    besides: AtomicU64,
}

impl Notes {
    /// Somebody signed in.
    pub(super) async fn succeeded(&self, ports: &Ports, login: &str, from: &str) {
        told(ports.sign_ins.note_sign_in(login, from, true).await);
    }

    /// Somebody did not; `login` is what they typed.
    pub(super) async fn failed(&self, ports: &Ports, login: &str, from: &str, now: Duration) {
        if !self.has_room(now) {
            self.besides.fetch_add(1, Ordering::SeqCst);
            return;
        }
        let besides = self.besides.swap(0, Ordering::SeqCst);
        if besides > 0 {
            let by = Author { signed_in: SignedIn::on_this_machine("sign-in"), from: "many addresses".to_owned() };
            let on = Some(format!("{besides} besides those that are noted"));
            let line = NewAuditLine { action: "sign_in".to_owned(), tenant: None, on, outcome: AuditOutcome::Refused };
            told(ports.audit.note(&by, line).await);
        }
        let login: String = login.chars().take(LOGIN_SHOWN).collect();
        told(ports.sign_ins.note_sign_in(&login, from, false).await);
    }

    fn has_room(&self, now: Duration) -> bool {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_sub(window.0) >= WINDOW {
            *window = (now, 0);
        }
        window.1 += 1;
        window.1 <= NOTED_MAX.get()
    }
}

/// Whoever signs in does not wait for an audit that is away.
fn told(noted: Result<(), StoreError>) {
    if let Err(error) = noted {
        tracing::warn!(%error, "a sign-in could not be noted in the audit");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sign_in::stand_in::Kept;

    #[actix_web::test]
    async fn of_a_flood_some_are_noted_and_the_others_counted() {
        let kept = Kept::new();
        let (ports, notes) = (kept.ports(), Notes::default());
        for _ in 0..1_000 {
            notes.failed(&ports, &"a".repeat(1_000), "192.0.2.1", Duration::from_secs(1)).await;
        }
        assert_eq!(kept.state().notes.len(), 60);
        assert_eq!(kept.state().lines.len(), 0);
        assert_eq!(kept.state().notes[0].0.len(), 256);
        notes.failed(&ports, "bob", "192.0.2.1", Duration::from_secs(59)).await;
        assert_eq!(kept.state().lines.len(), 0, "the window is not over");
        notes.failed(&ports, "bob", "192.0.2.1", Duration::from_secs(60)).await;
        let lines = std::mem::take(&mut kept.state().lines);
        assert_eq!(lines[0].on.as_deref(), Some("941 besides those that are noted"));
        assert_eq!((lines.len(), kept.state().notes.len()), (1, 61));
        notes.succeeded(&ports, "bob", "192.0.2.1").await;
        assert_eq!(kept.state().notes.last(), Some(&("bob".to_owned(), "192.0.2.1".to_owned(), true)));
    }
}
