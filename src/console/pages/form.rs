//! What a form sends: `application/x-www-form-urlencoded`, read in bounded time into bounded space.
//!
//! Invariant: what was typed is in no problem and in no log; it goes back to who typed it, and to nobody else.

use std::net::IpAddr;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::web::Payload;

use crate::form_body::FormBody;
use crate::problem::Problem;
use crate::shares::Shares;

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

/// Forms of those who are signed in.
static OF_KNOWN: Shares<[u8; 8]> = Shares::of(64, 8);
/// Those of strangers.
static OF_STRANGERS: Shares<[u8; 8]> = Shares::of(32, 4);

impl Sender {
    /// A script of an assistant fits, and a list of some thousand numbers; of who signs in again all that they typed before, as it is
    /// written in a page.
    fn body(self) -> FormBody {
        match self {
            Self::Known(_) => FormBody { bytes_max: 512 * 1024, within: Duration::from_secs(20), shares: &OF_KNOWN },
            Self::Stranger(_) => {
                FormBody { bytes_max: 2 * 1024 * 1024, within: Duration::from_secs(5), shares: &OF_STRANGERS }
            }
        }
    }

    fn address(self) -> IpAddr {
        let (Self::Known(address) | Self::Stranger(address)) = self;
        address
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
        let bytes = sender.body().read(request, payload, sender.address()).await?;
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
    fn a_form_is_bounded_and_shows_nothing_of_itself() {
        let form = Form::of(b"a=1&a=2&text=x%0D%0Ay&blank=+b+&on=").expect("a form");
        assert_eq!((form.text("a"), form.text("text"), form.text("none")), ("1", "x\ny", ""));
        assert_eq!((form.line("blank").as_str(), form.has("on"), form.has("off")), ("b", true, false));
        assert!(!format!("{form:?}").contains('x'));
        assert!(Form::of("a=&".repeat(501).as_bytes()).is_err() && Form::of(b"a=%00").is_err());
    }
}
