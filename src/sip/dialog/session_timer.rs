//! Session timers (RFC 4028): who keeps the session alive, how often, and when it has died.
//!
//! ```text
//! Ahead -2xx of the INVITE without Session-Expires-> Off
//!       -2xx with Session-Expires-> Refreshing (we) -half the interval-> refresh due
//!                               -> Watching (they) -no refresh in time-> expired
//! ```
//! Invariant: every 2xx to an INVITE or UPDATE, sent or received, sets the timer anew. Drivers:
//! `session.rs`, and `acceptor.rs` for the first.

use std::time::{Duration, Instant};

use crate::message::{Request, Response, params};

/// The least interval we accept (RFC 4028 section 5).
pub const MIN_SE: u32 = 90;
/// The longest interval that is honoured; a longer wish becomes this.
pub const SESSION_EXPIRES_MAX: u32 = 86_400;
/// How long before its end a session that nobody refreshed is given up at most (RFC 4028 section 10).
const MARGIN_MAX: Duration = Duration::from_secs(32);

/// Who refreshes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refresher {
    /// We do.
    Us,
    /// The far end does.
    Them,
}

/// What was agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agreement {
    /// The session interval in seconds.
    pub seconds: u32,
    /// Who refreshes.
    pub refresher: Refresher,
    /// Whether the far end knows the extension, so that our answer may require it.
    pub both_know: bool,
}

/// The wish is too short: 422 with our Min-SE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooShort;

/// What a request asks for, and what our 2xx therefore says (RFC 4028 section 9). `None` without a wish.
pub fn asked(request: &Request) -> Result<Option<Agreement>, TooShort> {
    let Some((seconds, refresher)) = request.headers.get("Session-Expires").and_then(parse) else { return Ok(None) };
    let both_know = supports(request);
    if seconds < MIN_SE {
        // One who does not know the extension cannot be told; a proxy that asked for him can live with ours.
        return if both_know { Err(TooShort) } else { Ok(Some(agreement(MIN_SE, Refresher::Us, false))) };
    }
    let refresher = match (both_know, refresher) {
        (false, _) | (true, Some(Side::Uas)) => Refresher::Us,
        (true, Some(Side::Uac) | None) => Refresher::Them,
    };
    Ok(Some(agreement(seconds, refresher, both_know)))
}

/// What a 2xx to a refresh of ours says. A far end that stopped saying anything leaves the timer to us.
pub fn answered(response: &Response) -> Option<Agreement> {
    let (seconds, refresher) = response.headers.get("Session-Expires").and_then(parse)?;
    let refresher = if refresher == Some(Side::Uas) { Refresher::Them } else { Refresher::Us };
    Some(agreement(seconds.max(MIN_SE), refresher, true))
}

fn agreement(seconds: u32, refresher: Refresher, both_know: bool) -> Agreement {
    Agreement { seconds: seconds.min(SESSION_EXPIRES_MAX), refresher, both_know }
}

fn supports(request: &Request) -> bool {
    let mentioned = |name| request.headers.list(name).iter().any(|tag| tag.eq_ignore_ascii_case("timer"));
    mentioned("Supported") || mentioned("Require")
}

/// Which side of the request refreshes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Uac,
    Uas,
}

fn parse(value: &str) -> Option<(u32, Option<Side>)> {
    let (seconds, params) = params::split(value);
    let side = |word, side| params.says("refresher", word).then_some(side);
    Some((params::number(seconds)?, side("uas", Side::Uas).or(side("uac", Side::Uac))))
}

impl Agreement {
    /// The headers of our 2xx, where the far end is the client of the request.
    pub fn in_answer(&self, response: Response) -> Response {
        let refresher = if self.refresher == Refresher::Us { "uas" } else { "uac" };
        let response = response.with("Session-Expires", format!("{};refresher={refresher}", self.seconds));
        // RFC 4028 section 9: the far end must know that it has to refresh.
        if self.both_know && self.refresher == Refresher::Them { response.with("Require", "timer") } else { response }
    }

    /// The headers of our own refresh, where we are the client.
    pub fn in_request(&self, request: &mut Request) {
        let refresher = if self.refresher == Refresher::Us { "uac" } else { "uas" };
        request.headers.set("Session-Expires", &format!("{};refresher={refresher}", self.seconds));
        request.headers.set("Min-SE", &MIN_SE.to_string());
    }
}

/// The timer of one dialog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SessionTimer {
    /// No timer was agreed on.
    #[default]
    Off,
    /// The 2xx of the INVITE, which starts it, is still to come; with what it will say.
    Ahead(Option<Agreement>),
    /// We refresh at `refresh`; without a 2xx the session is over at `expires`.
    Refreshing {
        /// What was agreed on.
        agreement: Agreement,
        /// When the next refresh goes out; `None` while one is under way.
        refresh: Option<Instant>,
        /// When the session is over.
        expires: Instant,
    },
    /// They refresh; without one the session is over at `expires`.
    Watching {
        /// What was agreed on.
        agreement: Agreement,
        /// When the session is over: a little before the interval ends (RFC 4028 section 10).
        expires: Instant,
    },
}

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Send a refresh.
    Refresh,
    /// The session is over.
    Expired,
}

impl SessionTimer {
    /// A 2xx went by: the timer runs anew.
    pub fn restart(now: Instant, agreement: Option<Agreement>) -> Self {
        let Some(agreement) = agreement else { return Self::Off };
        let interval = Duration::from_secs(u64::from(agreement.seconds));
        let margin = (interval / 3).min(MARGIN_MAX);
        match agreement.refresher {
            Refresher::Us => {
                Self::Refreshing { agreement, refresh: Some(now + interval / 2), expires: now + interval - margin }
            }
            Refresher::Them => Self::Watching { agreement, expires: now + interval - margin },
        }
    }

    /// The 2xx of the INVITE went out.
    pub fn start(&mut self, now: Instant) {
        if let Self::Ahead(agreement) = *self {
            *self = Self::restart(now, agreement);
        }
    }

    /// A 2xx to a request of the far end goes out: the timer runs anew, or from the 2xx of the INVITE on.
    pub fn renewed(&mut self, now: Instant, asked: Option<Agreement>) {
        match self {
            Self::Ahead(first) => *first = asked.or(*first),
            Self::Off | Self::Refreshing { .. } | Self::Watching { .. } => *self = Self::restart(now, asked),
        }
    }

    /// What was agreed on.
    pub fn agreement(&self) -> Option<Agreement> {
        match self {
            Self::Off => None,
            Self::Ahead(agreement) => *agreement,
            Self::Refreshing { agreement, .. } | Self::Watching { agreement, .. } => Some(*agreement),
        }
    }

    /// What is due now; a refresh is told once.
    pub fn due(&mut self, now: Instant) -> Option<Due> {
        match self {
            Self::Off | Self::Ahead(_) => None,
            Self::Refreshing { expires, .. } | Self::Watching { expires, .. } if *expires <= now => Some(Due::Expired),
            Self::Refreshing { refresh, .. } if refresh.is_some_and(|at| at <= now) => {
                *refresh = None;
                Some(Due::Refresh)
            }
            Self::Refreshing { .. } | Self::Watching { .. } => None,
        }
    }

    /// The refresh could not be sent now (another request was under way): once more at `at`.
    pub fn again_at(&mut self, at: Instant) {
        if let Self::Refreshing { refresh, .. } = self {
            *refresh = Some(at);
        }
    }

    /// When to wake.
    pub fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Off | Self::Ahead(_) => None,
            Self::Refreshing { refresh, expires, .. } => Some(refresh.unwrap_or(*expires).min(*expires)),
            Self::Watching { expires, .. } => Some(*expires),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Method, StatusCode};

    fn request(headers: &[(&str, &str)]) -> Request {
        let mut request = Request::new(Method::Invite, "sip:a@b");
        headers.iter().for_each(|(name, value)| request.headers.push(name, value));
        request
    }

    #[test]
    fn the_answer_follows_the_table_of_rfc_4028() {
        let timer = ("Supported", "timer, 100rel");
        for (headers, expected) in [
            (&[][..], Ok(None)),
            (&[timer], Ok(None)),
            (&[timer, ("Session-Expires", "1800")], Ok(Some((1800, "uac", true)))),
            (&[timer, ("Session-Expires", "1800;refresher=uas")], Ok(Some((1800, "uas", false)))),
            (&[timer, ("Session-Expires", "1800 ; refresher=uac")], Ok(Some((1800, "uac", true)))),
            (&[timer, ("Session-Expires", "90 ; Refresher = UAS")], Ok(Some((90, "uas", false)))),
            (&[timer, ("Session-Expires", "90;x=\"a;b\";refresher=\"uas\"")], Ok(Some((90, "uas", false)))),
            (&[("Session-Expires", "300;refresher=uac")], Ok(Some((300, "uas", false)))),
            (&[timer, ("Session-Expires", "89")], Err(TooShort)),
            (&[("Session-Expires", "30")], Ok(Some((90, "uas", false)))),
            (&[timer, ("x", "Session-Expires")], Ok(None)),
        ] {
            let told = asked(&request(headers)).map(|agreed| {
                agreed.map(|agreed| {
                    let response = agreed.in_answer(request(&[]).respond(StatusCode(200), None));
                    let said = parse(response.headers.get("Session-Expires").expect("said"));
                    let (seconds, side) = said.expect("good");
                    let side = if side.expect("named") == Side::Uas { "uas" } else { "uac" };
                    (seconds, side, response.headers.get("Require").is_some())
                })
            });
            assert_eq!(told, expected, "{headers:?}");
        }
    }

    #[test]
    fn we_refresh_at_half_time_and_once() {
        let now = Instant::now();
        let at = |s| now + Duration::from_secs(s);
        let agreement = Agreement { seconds: 1800, refresher: Refresher::Us, both_know: true };
        let mut timer = SessionTimer::restart(now, Some(agreement));
        assert_eq!((timer.due(at(899)), timer.due(at(900)), timer.due(at(901))), (None, Some(Due::Refresh), None));
        assert_eq!(timer.due(at(1768)), Some(Due::Expired));
        timer = SessionTimer::restart(at(902), Some(agreement));
        assert_eq!(timer.deadline(), Some(at(1802)));
    }

    #[test]
    fn they_are_waited_for_until_a_little_before_the_end() {
        let now = Instant::now();
        let agreement = Agreement { seconds: 90, refresher: Refresher::Them, both_know: true };
        let mut timer = SessionTimer::restart(now, Some(agreement));
        assert_eq!(timer.due(now + Duration::from_secs(59)), None);
        assert_eq!(timer.due(now + Duration::from_secs(60)), Some(Due::Expired));
        assert_eq!(SessionTimer::restart(now, None).deadline(), None);
    }
}
