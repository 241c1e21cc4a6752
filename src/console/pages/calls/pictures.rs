//! Pictures of a call: the ladder of SIP messages, and the axis of time. Each is drawn by its template, with the facts that are beside it in a
//! table.
//!
//! Invariant: a picture holds numbers that were computed here and texts that the template escapes, and nothing else.

use super::moments::at;
use super::spans::{Lane, Span, spans};
use crate::rest::{Event, What};

/// Most rungs of a ladder, the latest.
const RUNGS_MAX: usize = 80;
const RUNG_PX: u64 = 34;
/// Where the ladder's sides stand.
pub(super) const CALLER_X: u64 = 190;
pub(super) const SERVER_X: u64 = 560;

/// The ladder of a call.
pub(super) struct Ladder {
    pub(super) rungs: Vec<Rung>,
    pub(super) height: u64,
    /// How many earlier ones are not shown.
    pub(super) hidden: usize,
}

/// A SIP message, or what came of some.
pub(super) struct Rung {
    pub(super) at: String,
    pub(super) way: Way,
    pub(super) message: String,
    pub(super) meaning: &'static str,
    pub(super) y: u64,
}

/// Which way a message went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    In,
    Out,
    /// Nothing was sent: it is what came of it.
    Note,
}

impl Rung {
    /// Who sent it to whom.
    pub(super) fn way_told(&self) -> &'static str {
        match self.way {
            Way::In => "from the caller's side",
            Way::Out => "to the caller's side",
            Way::Note => "",
        }
    }

    pub(super) fn is_note(&self) -> bool {
        self.way == Way::Note
    }

    /// Where its arrow ends, and its head begins.
    pub(super) fn tip(&self) -> (u64, u64) {
        if self.way == Way::In { (SERVER_X, SERVER_X - 10) } else { (CALLER_X, CALLER_X + 10) }
    }
}

impl Ladder {
    pub(super) fn of(events: &[Event]) -> Self {
        let mut rungs: Vec<Rung> = events.iter().filter_map(rung).collect();
        let hidden = rungs.len().saturating_sub(RUNGS_MAX);
        rungs.drain(..hidden);
        rungs.iter_mut().zip(0..).for_each(|(rung, n)| rung.y = 70 + n * RUNG_PX);
        let height = 80 + rungs.len() as u64 * RUNG_PX;
        Self { rungs, height, hidden }
    }
}

fn rung(event: &Event) -> Option<Rung> {
    let (way, message) = match &event.what {
        What::SipReceived { message } => (Way::In, message.clone()),
        What::SipSent { message } => (Way::Out, message.clone()),
        What::Answered {} | What::MediaAgreed { .. } => (Way::Note, event.what.told()),
        _ => return None,
    };
    let meaning = if way == Way::Note { "" } else { meaning(&message) };
    Some(Rung { at: at(event.at_ms), way, message, meaning, y: 0 })
}

/// What a message says, for people who have never seen SIP.
fn meaning(message: &str) -> &'static str {
    let mut words = message.split(' ');
    let (first, method) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    match (first, method) {
        ("INVITE", _) => "a call, or a change of its audio, is asked for",
        ("ACK", _) => "the answer has arrived",
        ("BYE", _) => "hangs up",
        ("CANCEL", _) => "hangs up before the answer",
        ("REFER", _) => "asks for a transfer",
        ("NOTIFY", _) => "tells how the transfer goes",
        ("OPTIONS", _) => "asks whether somebody is there",
        ("INFO", _) => "a key, or a word between the two",
        ("UPDATE", _) => "shows that the call is still up, or changes its audio",
        ("PRACK", _) => "a ringing has arrived",
        ("100", _) => "it is being looked at",
        ("180" | "183", _) => "it rings",
        ("200", "INVITE") => "answers",
        (status, _) if status.len() == 3 => match status.as_bytes()[0] {
            b'1' => "it goes on",
            b'2' => "agrees",
            b'3' => "asks elsewhere",
            b'4' | b'5' | b'6' => "refuses",
            _ => "",
        },
        _ => "",
    }
}

/// Narrower than the widest screens, wider than what can be scrolled over in a moment.
const AXIS_PX_MIN: u64 = 700;
const AXIS_PX_MAX: u64 = 6000;
const PX_PER_SECOND: u64 = 30;
/// Where the axis begins.
const AXIS_X: u64 = 150;
const LANE_PX: u64 = 30;
/// How far apart lines of the scale are, at least.
const TICK_PX: u64 = 60;

/// The axis of time of a call.
pub(super) struct Axis {
    pub(super) spans: Vec<Drawn>,
    pub(super) lanes: Vec<(u64, &'static str)>,
    pub(super) ticks: Vec<(u64, String)>,
    pub(super) width: u64,
    pub(super) height: u64,
}

/// A span where it stands in the picture.
pub(super) struct Drawn {
    pub(super) span: Span,
    pub(super) x: u64,
    pub(super) y: u64,
    pub(super) width: u64,
}

impl Axis {
    pub(super) fn of(events: &[Event]) -> Self {
        let spans = spans(events);
        let first = spans.first().map_or(0, |span| span.from_ms) / 1000 * 1000;
        let last = spans.iter().map(|span| span.to_ms).max().unwrap_or(first).max(first + 1000);
        let pixels = ((last - first) * PX_PER_SECOND / 1000).clamp(AXIS_PX_MIN, AXIS_PX_MAX);
        let x = |ms: u64| AXIS_X + ms.saturating_sub(first) * pixels / (last - first);
        let y = |lane: Lane| 10 + Lane::ALL.iter().position(|one| *one == lane).unwrap_or(0) as u64 * LANE_PX;
        let drawn = |span: Span| {
            let from = x(span.from_ms);
            Drawn { x: from, y: y(span.lane), width: (x(span.to_ms) - from).max(3), span }
        };
        let height = 20 + Lane::ALL.len() as u64 * LANE_PX;
        let ticks_max = pixels / TICK_PX;
        let step = ((last - first) / ticks_max / 1000 + 1) * 1000;
        let ticks = (0..=ticks_max).map(|n| first + n * step).take_while(|at| *at <= last);
        Self {
            lanes: Lane::ALL.iter().map(|lane| (y(*lane) + 17, lane.name())).collect(),
            ticks: ticks.map(|ms| (x(ms), format!("{}:{:02}", ms / 60_000, ms / 1000 % 60))).collect(),
            spans: spans.into_iter().map(drawn).collect(),
            width: AXIS_X + pixels + 40,
            height: height + 20,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sip(at_ms: u64, what: What) -> Event {
        Event { at_ms, what }
    }

    #[test]
    fn a_ladder_has_each_message_with_its_way_and_meaning() {
        let events = [
            sip(0, What::SipReceived { message: "INVITE".into() }),
            sip(5, What::SipSent { message: "200 INVITE".into() }),
            sip(5, What::Answered {}),
            sip(9, What::SpeechBegan {}),
            sip(70, What::SipSent { message: "BYE".into() }),
            sip(80, What::SipReceived { message: "481 BYE".into() }),
        ];
        let ladder = Ladder::of(&events);
        let told: Vec<_> = ladder.rungs.iter().map(|rung| (rung.way, &*rung.message, rung.meaning)).collect();
        assert_eq!(
            told,
            [
                (Way::In, "INVITE", "a call, or a change of its audio, is asked for"),
                (Way::Out, "200 INVITE", "answers"),
                (Way::Note, "answered", ""),
                (Way::Out, "BYE", "hangs up"),
                (Way::In, "481 BYE", "refuses"),
            ]
        );
        let many: Vec<Event> = (0..100).map(|n| sip(n, What::Answered {})).collect();
        let ladder = Ladder::of(&many);
        assert_eq!((ladder.rungs.len(), ladder.hidden), (RUNGS_MAX, 100 - RUNGS_MAX));
    }

    #[test]
    fn a_picture_stays_within_its_bounds_however_long_the_call() {
        let hours = 4 * 3_600_000;
        for events in [vec![], vec![sip(0, What::NotUnderstood {}), sip(hours, What::NotUnderstood {})]] {
            let axis = Axis::of(&events);
            assert!((AXIS_PX_MIN..=AXIS_PX_MAX + AXIS_X + 40).contains(&axis.width), "{}", axis.width);
            assert!(!axis.ticks.is_empty() && axis.ticks.len() as u64 <= axis.width / TICK_PX);
            assert!(axis.spans.iter().all(|drawn| drawn.x + drawn.width <= axis.width));
        }
    }
}
