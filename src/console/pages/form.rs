//! What a form sends: `application/x-www-form-urlencoded`, read in bounded time into bounded space.
//!
//! Invariant: what was typed is in no problem and in no log; it goes back to who typed it, and to nobody else.

use std::net::IpAddr;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::Payload;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::per_address::{PerAddress, Place};
use crate::problem::Problem;

/// Most fields of one.
const FIELDS_MAX: usize = 500;

/// Who sends a form: each has room of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sender {
    /// Somebody who is signed in, from an address.
    Known(IpAddr),
    /// Anybody, to become somebody, or whose session has ended, from an address.
    Stranger(IpAddr),
}

/// Forms of those who are signed in that are read at once.
static OF_KNOWN: Semaphore = Semaphore::const_new(64);
/// Those of all strangers.
static OF_STRANGERS: Semaphore = Semaphore::const_new(32);
/// Of these, from one address.
static OF_STRANGERS_AT: PerAddress = PerAddress::new(4);
/// Forms of those who are signed in at one address: whoever holds them all holds up nobody elsewhere.
static OF_KNOWN_AT: PerAddress = PerAddress::new(8);

impl Sender {
    /// Most bytes of a form: a script of an assistant fits, and a list of some thousand numbers; of who signs in again all that they
    /// typed before, as it is written in a page.
    fn bytes_max(self) -> usize {
        match self {
            Self::Known(_) => 512 * 1024,
            Self::Stranger(_) => 2 * 1024 * 1024,
        }
    }

    /// How long one may take to come.
    fn comes_within(self) -> Duration {
        Duration::from_secs(if matches!(self, Self::Known(_)) { 20 } else { 5 })
    }

    fn place(self) -> Option<(SemaphorePermit<'static>, Place)> {
        let (all, own) = match self {
            Self::Known(address) => (&OF_KNOWN, OF_KNOWN_AT.place(address)?),
            Self::Stranger(address) => (&OF_STRANGERS, OF_STRANGERS_AT.place(address)?),
        };
        Some((all.try_acquire().ok()?, own))
    }
}

/// The field with the token that shows that a form is ours.
pub(super) const CSRF_TOKEN: &str = "csrf_token";

/// Names and texts, in the order of the form.
#[derive(Clone, Default)]
pub(super) struct Form(pub(super) Vec<(String, String)>);

/// It never shows what was typed.
impl std::fmt::Debug for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Form of {} fields", self.0.len())
    }
}

impl Form {
    /// Of the body of a request.
    pub(super) async fn read(request: &HttpRequest, payload: Payload, sender: Sender) -> Result<Self, Problem> {
        let media_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let essence = media_type.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "this page takes what its own form sends"));
        }
        let broken = || Problem::new(StatusCode::BAD_REQUEST, "the form broke off: send it again");
        let late = || Problem::new(StatusCode::REQUEST_TIMEOUT, "the form did not come in time: send it again");
        let long = || {
            let why = format!("the form has more than {} bytes: write less into it", sender.bytes_max());
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, why)
        };
        let busy = || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too many forms are being read: send it again");
        let _place = sender.place().ok_or_else(|| busy().retry_after(Duration::from_secs(1)))?;
        let came = tokio::time::timeout(sender.comes_within(), payload.to_bytes_limited(sender.bytes_max())).await;
        let bytes = came.map_err(|_| late())?.map_err(|_| long())?.map_err(|_| broken())?;
        Self::of(&bytes)
    }

    /// Of its bytes.
    fn of(bytes: &[u8]) -> Result<Self, Problem> {
        let pairs: Vec<(String, String)> = form_urlencoded::parse(bytes).into_owned().take(FIELDS_MAX + 1).collect();
        let bad = |why: &str| Err(Problem::new(StatusCode::BAD_REQUEST, why.to_owned()));
        if pairs.len() > FIELDS_MAX {
            return bad("the form has too many fields");
        }
        if pairs.iter().any(|(name, text)| name.contains('\0') || text.contains('\0')) {
            return bad("a field has a character that cannot be kept (NUL)");
        }
        // Browsers write a line's end as two characters.
        Ok(Self(pairs.into_iter().map(|(name, text)| (name, text.replace("\r\n", "\n"))).collect()))
    }

    /// What a field says; empty if it is not there.
    pub(super) fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, text)| text)
    }

    /// All that fields of one name say.
    pub(super) fn all(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(known, _)| known == name).map(|(_, text)| text.clone()).collect()
    }

    /// The same of one without blanks around it.
    pub(super) fn line(&self, name: &str) -> String {
        self.text(name).trim().to_owned()
    }

    /// Whether a box was ticked, or a button pressed.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_sends_a_few_forms_at_once_and_holds_up_no_other() {
        let (one, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        for (of, most) in [(Sender::Stranger as fn(IpAddr) -> Sender, 4), (Sender::Known, 8)] {
            let held: Vec<_> = (0..most).map(|_| of(one).place().expect("room")).collect();
            assert!(of(one).place().is_none() && of(other).place().is_some());
            drop(held);
            assert!(of(one).place().is_some());
        }
    }

    #[test]
    fn a_form_is_bounded_and_shows_nothing_of_itself() {
        let form = Form::of(b"a=1&a=2&text=x%0D%0Ay&blank=+b+&on=").expect("a form");
        assert_eq!((form.text("a"), form.text("text"), form.text("none")), ("1", "x\ny", ""));
        assert_eq!((form.line("blank").as_str(), form.has("on"), form.has("off")), ("b", true, false));
        assert!(!format!("{form:?}").contains('x'));
        assert!(Form::of("a=&".repeat(501).as_bytes()).is_err() && Form::of(b"a=%00").is_err());
    }
}
