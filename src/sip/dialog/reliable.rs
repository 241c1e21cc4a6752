//! Reliable provisional responses (RFC 3262): repeated until their PRACK.
//!
//! Invariant: one is under way at a time, as RFC 3262 section 3 wants before the first is acknowledged. Driver: `acceptor.rs`.

use std::time::{Duration, Instant};

use crate::message::{CSeq, Request, Response, params};
use crate::transaction::{T1, TIMEOUT};

/// The header values of RAck: which response to which request.
pub fn acknowledges(prack: &Request, rseq: u32, invite: &CSeq) -> bool {
    let mut words = prack.headers.get("RAck").unwrap_or_default().split_ascii_whitespace();
    let number = |word: Option<&str>| word.and_then(params::number::<u32>);
    number(words.next()) == Some(rseq) && number(words.next()) == Some(invite.number) && words.next() == Some("INVITE")
}

/// Whether the far end insists on reliable provisional responses.
pub fn is_required(invite: &Request) -> bool {
    invite.headers.list("Require").iter().any(|tag| tag.eq_ignore_ascii_case("100rel"))
}

/// A provisional response that waits for its PRACK.
#[derive(Debug, Clone)]
pub struct Unacknowledged {
    /// The response.
    pub response: Response,
    /// Its number.
    pub rseq: u32,
    again: Instant,
    interval: Duration,
    until: Instant,
}

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Send it again.
    Repeat,
    /// No PRACK came: the INVITE is to be refused (RFC 3262 section 3).
    GiveUp,
}

impl Unacknowledged {
    /// A response that has just been sent, with the headers that make it reliable.
    pub fn new(now: Instant, response: Response, rseq: u32) -> Self {
        let response = response.with("Require", "100rel").with("RSeq", rseq.to_string());
        Self { response, rseq, again: now + T1, interval: T1, until: now + TIMEOUT }
    }

    /// What is due now.
    pub fn due(&mut self, now: Instant) -> Option<Due> {
        if self.until <= now {
            return Some(Due::GiveUp);
        }
        if self.again > now {
            return None;
        }
        self.interval *= 2;
        self.again = now + self.interval;
        Some(Due::Repeat)
    }

    /// When to wake.
    pub fn deadline(&self) -> Instant {
        self.again.min(self.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Method, StatusCode};

    #[test]
    fn it_is_repeated_at_doubling_intervals_and_given_up() {
        let now = Instant::now();
        let response = Request::new(Method::Invite, "sip:a@b").respond(StatusCode(180), None);
        let mut waiting = Unacknowledged::new(now, response, 7);
        assert_eq!(waiting.response.headers.get("RSeq"), Some("7"));
        let mut log = vec![];
        for ms in (0..=32_000).step_by(100) {
            if let Some(due) = waiting.due(now + Duration::from_millis(ms)) {
                log.push((ms, due));
            }
        }
        let expected = [500, 1500, 3500, 7500, 15_500, 31_500].map(|ms| (ms, Due::Repeat));
        assert_eq!(log[..6], expected);
        assert_eq!(log[6], (32_000, Due::GiveUp));
    }

    #[test]
    fn only_its_own_prack_counts() {
        let invite = CSeq::parse("42 INVITE").expect("good");
        for (rack, counts) in [("7 42 INVITE", true), ("8 42 INVITE", false), ("7 41 INVITE", false), ("7", false)] {
            let mut prack = Request::new(Method::Prack, "sip:a@b");
            prack.headers.push("RAck", rack);
            assert_eq!(acknowledges(&prack, 7, &invite), counts, "{rack}");
        }
    }
}
