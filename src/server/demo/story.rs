//! Tells the demo as it happens: who said what, SIP as a ladder, with times.
//!
//! The demo's own caller tells its side; every other call, of a softphone or of `make sipp`, has its name in front of
//! each line, its ladder as the server sees it, and how it ended. Invariant: this is the one place that prints words; a
//! demo's callers are synthetic, or whoever tries it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use bellhop_actors::node::call_registry::CallId;
use bellhop_actors::services::Observer;
use bellhop_call::record::{Began, Event as Seen, What};
use bellhop_dialogue::transcript::Speaker;
use bellhop_rehearsal::caller::Event;
use bellhop_rehearsal::connect::StandIn;
use bellhop_rehearsal::flow::{Stop, TransferOutcome, screen_pop};

use crate::terminal;

/// The tenant of softphones: its calls have a contact by the name of their Call-ID.
pub(super) const SOFTPHONE: &str = "softphone";

/// The teller; clones share what they know.
#[derive(Clone)]
pub(super) struct Story(Arc<Shared>);

struct Shared {
    /// When the demo's own caller sent its INVITE.
    began: Mutex<Instant>,
    /// The number of the demo's own caller.
    own: &'static str,
    connect: OnceLock<StandIn>,
    calls: Mutex<Calls>,
    print: Box<dyn Fn(&str) + Send + Sync>,
}

#[derive(Default)]
struct Calls {
    /// Calls so far, the demo's own not counted.
    named: usize,
    live: HashMap<CallId, Other>,
    own: Option<CallId>,
}

/// A call that is not the demo's own.
#[derive(Clone)]
struct Other {
    name: String,
    /// Its contact, if it has one.
    contact: Option<String>,
}

impl Story {
    /// Tells on standard output; `own` is the number of the demo's caller.
    pub(super) fn begin(own: &'static str) -> Self {
        Self::told_to(own, Box::new(terminal::print))
    }

    fn told_to(own: &'static str, print: Box<dyn Fn(&str) + Send + Sync>) -> Self {
        let (began, calls) = (Mutex::new(Instant::now()), Mutex::default());
        Self(Arc::new(Shared { began, own, connect: OnceLock::new(), calls, print }))
    }

    /// Whose contacts softphones get.
    pub(super) fn play_at(&self, connect: StandIn) {
        let _ = self.0.connect.set(connect);
    }

    /// The clock starts: the INVITE goes out now.
    pub(super) fn restart(&self) {
        *self.0.began.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    pub(super) fn title(&self, text: &str) {
        self.line("");
        self.line(&format!("── {text} {}", "─".repeat(70usize.saturating_sub(text.chars().count()))));
    }

    pub(super) fn note(&self, text: &str) {
        self.line(&format!("   {text}"));
    }

    /// Something the demo's own caller did, `at` after the INVITE.
    pub(super) fn event(&self, at: Duration, event: &Event) {
        let at = at.as_secs_f32();
        match event {
            Event::Sip { sent: true, line } => self.line(&format!("{at:7.2} s  caller ───▶ bellhop   {line}")),
            Event::Sip { sent: false, line } => self.line(&format!("{at:7.2} s  caller ◀─── bellhop   {line}")),
            Event::Says(words) => self.line(&format!("{at:7.2} s  (the caller begins to say: “{words}”)")),
            Event::Presses(keys) => self.line(&format!("{at:7.2} s  (the caller presses: {keys})")),
        }
    }

    fn line(&self, text: &str) {
        (self.0.print)(text);
    }

    /// A call that is not the demo's own, from its beginning to its end; `None` for the demo's own.
    fn other(&self, call: CallId, event: &Seen) -> Option<Other> {
        let mut calls = self.0.calls.lock().unwrap_or_else(PoisonError::into_inner);
        if let What::Began(began) = &event.what {
            let Began { tenant, caller, dialled, sip_call_id, .. } = &**began;
            if calls.own.is_none() && caller.contains(self.0.own) {
                calls.own = Some(call);
            } else {
                calls.named += 1;
                let contact = (tenant == SOFTPHONE).then(|| sip_call_id.clone());
                if let (Some(contact), Some(connect)) = (&contact, self.0.connect.get()) {
                    // Amazon Connect would have had it before us.
                    let _ = connect.contact_arrives(contact, caller, dialled);
                }
                let name = format!("call {}", calls.named);
                calls.live.insert(call, Other { name, contact });
            }
        }
        match event.what {
            What::Ended { .. } => calls.live.remove(&call),
            _ => calls.live.get(&call).cloned(),
        }
    }

    /// How another call's contact went on.
    fn tell_flow(&self, call: &Other) {
        let (Some(contact), Some(connect)) = (&call.contact, self.0.connect.get()) else { return };
        let went = match connect.call_over(contact, TransferOutcome::Success) {
            Ok(Stop::Queued { .. }) => "the caller is in the agents' queue".to_owned(),
            Ok(Stop::Disconnected) => "the flow disconnected the caller".to_owned(),
            Ok(Stop::Transferring { .. }) => "the flow is still transferring".to_owned(),
            Err(why) => why.to_string(),
        };
        let attributes = connect.attributes(contact);
        let key = attributes.get("SessionHistoryKey").filter(|key| !key.is_empty());
        let told =
            key.map_or("no SessionHistoryKey was written".to_owned(), |key| format!("SessionHistoryKey = {key}"));
        self.line(&format!("   {}  {told}; {went}", call.name));
        if let Some(page) = screen_pop(&attributes).filter(|_| key.is_some_and(|key| key != "hangup")) {
            self.line(&format!("   {}  the agent's page: {page}", call.name));
        }
    }
}

impl Observer for Story {
    fn saw(&self, call: CallId, event: &Arc<Seen>) {
        let other = self.other(call, event);
        let told = match (&event.what, &other) {
            (What::Said { speaker, text }, _) => {
                let who = match speaker {
                    Speaker::Caller => "understood  ",
                    Speaker::CallerDigits => "keys        ",
                    Speaker::Assistant => "assistant   ",
                    Speaker::Note => "noted       ",
                };
                format!("{who} “{text}”")
            }
            (What::Warned { .. }, _) => format!("warning      {}", event.what.told()),
            (What::SipReceived { message }, Some(_)) => format!("caller ───▶ bellhop   {message}"),
            (What::SipSent { message }, Some(_)) => format!("caller ◀─── bellhop   {message}"),
            (What::Began { .. } | What::Ended { .. }, Some(_)) => event.what.told(),
            _ => return,
        };
        match other {
            None => {
                let at = self.0.began.lock().unwrap_or_else(PoisonError::into_inner).elapsed().as_secs_f32();
                self.line(&format!("{at:7.2} s  {told}"));
            }
            Some(call) => {
                let at = Duration::from_millis(event.at_ms).as_secs_f32();
                self.line(&format!("{at:7.2} s  [{}] {told}", call.name));
                if matches!(event.what, What::Ended { .. }) {
                    self.tell_flow(&call);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellhop_rehearsal::connect::AccessKey;

    fn began(tenant: &str, caller: &str, sip_call_id: &str) -> What {
        let (tenant, caller, dialled) = (tenant.to_owned(), caller.to_owned(), "1000".to_owned());
        let began = Began { tenant, caller, dialled, sip_call_id: sip_call_id.to_owned(), session: "s".to_owned() };
        What::Began(began.into())
    }

    fn said(text: &str) -> What {
        What::Said { speaker: Speaker::Caller, text: text.to_owned() }
    }

    #[test]
    fn several_calls_are_kept_apart_and_each_tells_how_it_ended() {
        let told: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = Arc::clone(&told);
        let story =
            Story::told_to("+12065550100", Box::new(move |line| log.lock().expect("a log").push(line.to_owned())));
        let key = AccessKey { id: "k".to_owned(), secret: "s".to_owned() };
        let instance = "arn:aws:connect:us-east-1:111122223333:instance/i".parse().expect("an ARN");
        let connect = StandIn::new(instance, key, false);
        connect.agents_page_at("http://here");
        story.play_at(connect.clone());
        let see = |call: u64, what: What| story.saw(CallId(call), &Arc::new(Seen { at_ms: 1000, what }));
        see(1, began("acme", "+12065550100", "x"));
        see(2, began(SOFTPHONE, "alice", "call-a"));
        see(3, began(SOFTPHONE, "bob", "call-b"));
        see(1, said("mine"));
        see(3, said("bobs"));
        see(2, said("alices"));
        connect.write("call-b", "SessionHistoryKey", "_abc");
        see(2, What::Ended { reason: "caller_hung_up".into(), details: None });
        see(3, What::Ended { reason: "handed_off".into(), details: None });
        let told = told.lock().expect("a log").join("\n");
        for expected in [
            "s  understood   “mine”",
            "[call 1] understood   “alices”",
            "[call 2] understood   “bobs”",
            "[call 1] ended: caller_hung_up\n   call 1  no SessionHistoryKey was written; the caller is in the agents' queue",
            "[call 2] ended: handed_off\n   call 2  SessionHistoryKey = _abc; the caller is in the agents' queue\n   call 2  the agent's page: http://here/loadAgentAppFrame.html?session_history_key=abc",
        ] {
            assert!(told.contains(expected), "{expected}\nin\n{told}");
        }
    }
}
