//! Tells the demo as it happens: who said what, SIP as a ladder, with times.
//!
//! Invariant: this is the one place that prints words; a demo's caller is synthetic.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bellhop_actors::reception::call_registry::CallId;
use bellhop_actors::services::Observer;
use bellhop_dialogue::call_record::{Event as Seen, What};
use bellhop_dialogue::transcript::Speaker;
use bellhop_rehearsal::caller::Event;

use crate::terminal;

/// The teller; clones share the clock.
#[derive(Clone)]
pub(super) struct Story(Arc<Mutex<Instant>>);

impl Story {
    pub(super) fn begin() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    /// The clock starts: the INVITE goes out now.
    pub(super) fn restart(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    pub(super) fn title(&self, text: &str) {
        line("");
        line(&format!("── {text} {}", "─".repeat(70usize.saturating_sub(text.chars().count()))));
    }

    pub(super) fn note(&self, text: &str) {
        line(&format!("   {text}"));
    }

    /// Something the caller did, `at` after the INVITE.
    pub(super) fn event(&self, at: Duration, event: &Event) {
        let at = at.as_secs_f32();
        match event {
            Event::Sip { sent: true, line: message } => line(&format!("{at:7.2} s  caller ───▶ bellhop   {message}")),
            Event::Sip { sent: false, line: message } => line(&format!("{at:7.2} s  caller ◀─── bellhop   {message}")),
            Event::Says(words) => line(&format!("{at:7.2} s  (the caller begins to say: “{words}”)")),
            Event::Presses(keys) => line(&format!("{at:7.2} s  (the caller presses: {keys})")),
        }
    }
}

impl Observer for Story {
    fn saw(&self, _: CallId, event: &Seen) {
        let What::Said { speaker, text: words } = &event.what else { return };
        let at = self.0.lock().unwrap_or_else(PoisonError::into_inner).elapsed().as_secs_f32();
        let who = match speaker {
            Speaker::Caller => "understood  ",
            Speaker::CallerKeys => "keys        ",
            Speaker::Assistant => "assistant   ",
            Speaker::Note => "noted       ",
        };
        line(&format!("{at:7.2} s  {who} “{words}”"));
    }
}

fn line(text: &str) {
    terminal::print(text);
}
