//! The door of a server: who asks is who the sign-in says.

use actix_web::{FromRequest, HttpRequest, dev};
use bellhop_tenancy::access::{Author, SignedIn};
use futures_util::future::LocalBoxFuture;

use super::{Door, Presence};
use crate::problem::Problem;
use crate::sign_in::{Credentials, Visitor};

/// Asks the sign-in, which is `actix_web::web::Data` of the application.
#[derive(Debug, Clone, Copy)]
pub struct BySignIn;

impl Door for BySignIn {
    fn who<'a>(&'a self, request: &'a HttpRequest) -> LocalBoxFuture<'a, Result<Author, Problem>> {
        Box::pin(async move {
            let visitor = Visitor::from_request(request, &mut dev::Payload::None).await?;
            Ok(visitor.author())
        })
    }

    fn presence(&self, request: &HttpRequest) -> Result<Box<dyn Presence>, Problem> {
        Ok(Box::new(Credentials::of(request)?))
    }
}

impl Presence for Credentials {
    fn lasts<'a>(&'a self, by: &'a SignedIn) -> LocalBoxFuture<'a, bool> {
        Box::pin(self.still_make(by))
    }
}
