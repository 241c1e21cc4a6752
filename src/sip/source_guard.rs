//! Who is refused again and again is not listened to for a while: a scanner learns nothing and costs little.
//!
//! Only what is *proven* counts: what came over a connection, or a datagram whose sender acknowledged our refusal by a tag
//! that only they could have read ([`RefusalTag`]). The address of a datagram alone is anybody's to write. A PBX that pings by
//! a method we do not speak is no scanner: only INVITEs that were refused for what they are count.
//!
//! Invariant: a source whose call was taken owes nothing; what belongs to a dialog is never judged here, nor are sources on
//! an allow-list. What is remembered is bounded. Driver: `endpoint.rs`.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::message::{CSeq, Request};
use crate::networks::Source;

/// Refusals in a row before a source is not listened to.
pub const REFUSALS_MAX: u32 = 20;
/// How long it is not listened to.
pub const SHUT_OUT_FOR: Duration = Duration::from_secs(120);
/// How long until one refusal is forgiven.
pub const FORGIVEN_AFTER: Duration = Duration::from_secs(6);
/// Challenges that weigh as much as one refusal: every honest caller is challenged once.
pub const CHALLENGES_PER_REFUSAL: u32 = 4;
/// Sources remembered.
pub const SOURCES_MAX: usize = 65_536;

/// What an INVITE got instead of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offence {
    /// 403: nobody's number, a wrong password, not from there.
    Refused,
    /// 401: who are you?
    Challenged,
}

/// The debts of all sources.
#[derive(Debug, Default)]
pub struct SourceGuard {
    debts: HashMap<Source, Debt>,
    swept: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Debt {
    /// In challenges.
    points: u32,
    since: Instant,
    shut_out_until: Option<Instant>,
}

impl Debt {
    fn is_over(&self, now: Instant) -> bool {
        let forgiven = FORGIVEN_AFTER * self.points.div_ceil(CHALLENGES_PER_REFUSAL);
        self.shut_out_until.is_none_or(|until| until <= now) && self.since + forgiven <= now
    }
}

impl SourceGuard {
    /// An INVITE of this source, which is proven, was refused. Returns until when it is shut out, if it is from now on.
    pub fn refused(&mut self, now: Instant, source: Source, offence: Offence) -> Option<Instant> {
        if self.debts.len() >= SOURCES_MAX && !self.debts.contains_key(&source) {
            // Not for each: looking at all of them is the work that a flood would have us do.
            if self.swept.is_none_or(|swept| swept + FORGIVEN_AFTER <= now) {
                self.swept = Some(now);
                self.debts.retain(|_, debt| !debt.is_over(now));
            }
            if self.debts.len() >= SOURCES_MAX {
                return None; // spread over so many addresses, it is no source that could be held
            }
        }
        let fresh = Debt { points: 0, since: now, shut_out_until: None };
        let debt = self.debts.entry(source).or_insert(fresh);
        if debt.shut_out_until.is_some_and(|until| until > now) {
            return None;
        }
        let forgiven = now.saturating_duration_since(debt.since).as_secs() / FORGIVEN_AFTER.as_secs();
        let forgiven = u32::try_from(forgiven).unwrap_or(u32::MAX).saturating_mul(CHALLENGES_PER_REFUSAL);
        let weight = match offence {
            Offence::Refused => CHALLENGES_PER_REFUSAL,
            Offence::Challenged => 1,
        };
        debt.points = debt.points.saturating_sub(forgiven) + weight;
        if forgiven > 0 {
            debt.since = now;
        }
        if debt.points < REFUSALS_MAX * CHALLENGES_PER_REFUSAL {
            return None;
        }
        let until = now + SHUT_OUT_FOR;
        *debt = Debt { points: 0, since: now, shut_out_until: Some(until) };
        Some(until)
    }

    /// A call of this source was taken.
    pub fn accepted(&mut self, source: Source) {
        self.debts.remove(&source);
    }

    /// Whether the source is not listened to now.
    pub fn is_shut_out(&self, now: Instant, source: Source) -> bool {
        self.debts.get(&source).is_some_and(|debt| debt.shut_out_until.is_some_and(|until| until > now))
    }
}

/// The To tag of a refusal: made of the request, its source and a secret, so that it needs no memory (RFC 3261 section 8.2.7)
/// and an ACK that bears it proves the source.
#[derive(Clone)]
pub struct RefusalTag([u8; 32]);

impl std::fmt::Debug for RefusalTag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RefusalTag(redacted)")
    }
}

impl RefusalTag {
    /// `secret` is random, for the life of the process.
    pub fn new(secret: [u8; 32]) -> Self {
        Self(secret)
    }

    /// The tag of the answer to an INVITE of this source.
    pub fn of(&self, invite: &Request, source: Source, offence: Offence) -> String {
        let headers = &invite.headers;
        let number = headers.get("CSeq").and_then(CSeq::parse).map_or(0, |cseq| cseq.number);
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(&self.0).expect("any length is a key of HMAC");
        for part in [
            headers.get("Call-ID").unwrap_or_default(),
            &headers.tag("From").unwrap_or_default(),
            &format!("{number} {source:?} {offence:?}"),
        ] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac.finalize().into_bytes().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    /// What an ACK that bears a tag of ours acknowledges; `None` if its tag is none of ours for this source.
    pub fn acknowledged(&self, ack: &Request, source: Source) -> Option<Offence> {
        let tag = ack.headers.tag("To")?;
        [Offence::Refused, Offence::Challenged].into_iter().find(|offence| self.of(ack, source, *offence) == tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Method;

    fn source(text: &str) -> Source {
        Source::of(text.parse().expect("an address"))
    }

    #[test]
    fn a_scanner_is_shut_out_for_two_minutes() {
        let now = Instant::now();
        let (mut guard, scanner) = (SourceGuard::default(), source("192.0.2.66"));
        for n in 1..=REFUSALS_MAX {
            assert!(!guard.is_shut_out(now, scanner), "after {n}");
            let until = guard.refused(now, scanner, Offence::Refused);
            assert_eq!(until, (n == REFUSALS_MAX).then_some(now + SHUT_OUT_FOR));
        }
        assert!(guard.is_shut_out(now, scanner) && !guard.is_shut_out(now, source("192.0.2.67")));
        (0..1000).for_each(|_| assert_eq!(guard.refused(now, scanner, Offence::Refused), None));
        assert!(guard.is_shut_out(now + SHUT_OUT_FOR - Duration::from_millis(1), scanner));
        assert!(!guard.is_shut_out(now + SHUT_OUT_FOR, scanner), "not for ever");
        assert_eq!(guard.refused(now + SHUT_OUT_FOR, scanner, Offence::Refused), None, "it begins anew");
        let neighbour = source("2001:db8:1:2::1");
        (0..REFUSALS_MAX).for_each(|_| _ = guard.refused(now, neighbour, Offence::Refused));
        assert!(guard.is_shut_out(now, source("2001:db8:1:2:3:4:5:6")), "a /64 is one source");
    }

    #[test]
    fn a_trunk_that_mistakes_a_number_now_and_then_is_heard() {
        let now = Instant::now();
        let (mut guard, trunk) = (SourceGuard::default(), source("192.0.2.1"));
        for n in 0..1000 {
            assert_eq!(guard.refused(now, trunk, Offence::Refused), None);
            if n % 10 == 0 {
                guard.accepted(trunk);
            }
        }
        let slow = (0..1000).any(|n| guard.refused(now + FORGIVEN_AFTER * n, trunk, Offence::Refused).is_some());
        assert!(!slow, "one is forgiven in time");
        let mut guard = SourceGuard::default();
        let challenged = (0..79).any(|_| guard.refused(now, trunk, Offence::Challenged).is_some());
        assert!(!challenged, "a burst of callers is challenged, each once");
        assert!(guard.refused(now, trunk, Offence::Challenged).is_some(), "who only ever asks is none");
    }

    #[test]
    fn memory_is_bounded_and_who_is_shut_out_stays_so() {
        let now = Instant::now();
        let (mut guard, scanner) = (SourceGuard::default(), source("192.0.2.66"));
        (0..REFUSALS_MAX).for_each(|_| _ = guard.refused(now, scanner, Offence::Refused));
        for n in 0..200_000u32 {
            let _ = guard.refused(now, Source::of(std::net::IpAddr::from(n.to_be_bytes())), Offence::Refused);
        }
        assert!(guard.debts.len() <= SOURCES_MAX && guard.is_shut_out(now, scanner));
        let later = now + FORGIVEN_AFTER;
        let _ = guard.refused(later, source("198.51.100.1"), Offence::Refused);
        assert!(guard.debts.len() < 100, "what is over is forgotten: {}", guard.debts.len());
    }

    #[test]
    fn only_the_ack_of_who_read_the_refusal_proves_a_source() {
        let tags = RefusalTag::new([7; 32]);
        let request = |method, to: &str| {
            let mut request = Request::new(method, "sip:1000@h");
            for (name, value) in [("From", "<sip:a@b>;tag=f"), ("To", to), ("Call-ID", "c"), ("CSeq", "1 INVITE")] {
                request.headers.push(name, value);
            }
            request
        };
        let (here, there) = (source("192.0.2.1"), source("192.0.2.2"));
        let tag = tags.of(&request(Method::Invite, "<sip:1000@h>"), here, Offence::Refused);
        let ack = request(Method::Ack, &format!("<sip:1000@h>;tag={tag}"));
        assert_eq!(tags.acknowledged(&ack, here), Some(Offence::Refused));
        assert_eq!(tags.acknowledged(&ack, there), None, "another's tag");
        assert_eq!(tags.acknowledged(&request(Method::Ack, "<sip:1000@h>;tag=guess"), here), None);
        assert_eq!(RefusalTag::new([8; 32]).acknowledged(&ack, here), None);
    }
}
