//! Who reads on and on, as a stream of events does: whether they are still who they were.

use actix_web::HttpRequest;
use actix_web::web::Data;
use bellhop_tenancy::access::{CredentialKind, ShownBy, SignedIn};

use super::SignIn;
use super::visitor::Shown;
use crate::problem::Problem;

/// What somebody showed who reads on and on, to be asked again whether it still makes them who they are.
pub(crate) struct Credentials {
    sign_in: Data<SignIn>,
    shown: Shown,
}

impl Credentials {
    /// Those of a request.
    pub(crate) fn of(request: &HttpRequest) -> Result<Self, Problem> {
        let sign_in = SignIn::of(request)?;
        let shown = Shown::of(request, &sign_in)?;
        Ok(Self { sign_in, shown })
    }

    /// Whether they do. While the store does not answer they do: nobody is signed out by a database that is away.
    pub(crate) async fn still_make(&self, who: &SignedIn) -> bool {
        let known = match &self.shown {
            Shown::Nothing => return false,
            Shown::Token(secret) => self.sign_in.known(CredentialKind::Token, secret, ShownBy::Itself).await,
            Shown::Session(secret) => self.sign_in.known(CredentialKind::Session, secret, ShownBy::Itself).await,
        };
        known.map_or(true, |now| now.as_ref() == Some(who))
    }
}
