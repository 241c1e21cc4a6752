//! The table of the sign-in's resources: the methods of each path, and who may ask.
//!
//! Invariant: what is served under [`crate::API`] stands in [`ROUTES`]. What somebody may beyond their role is said where it is done.

use bellhop_tenancy::access::Role;

use super::by_password::{PasswordBody, SignInBody};
use super::by_provider::{BeginBody, SentAway};
use super::invitations::Acceptance;
use super::{sessions, tokens};
use crate::shape::Shape;

/// One thing that may be asked of the sign-in.
#[derive(Debug, Clone, Copy)]
pub struct SignInRoute {
    /// By which method.
    pub method: &'static str,
    /// Under which path below [`crate::API`].
    pub path: &'static str,
    /// Who may, at least; nobody has to be signed in where it is none.
    pub least: Option<Role>,
    /// Whether a token may not, whatever its role.
    pub in_person: bool,
    /// What it does, in a few words.
    pub summary: &'static str,
    /// What its body says.
    pub takes: Option<Shape>,
    /// What it gives when all goes well.
    pub gives: Gives,
}

/// What a route gives.
#[derive(Debug, Clone, Copy)]
pub enum Gives {
    /// Nothing but that it was done.
    Nothing,
    /// Something.
    One(Shape),
    /// Something that was made.
    Made(Shape),
    /// A page of a list.
    Page(Shape),
    /// That the browser goes elsewhere.
    Elsewhere,
}

const fn of_nobody(method: &'static str, path: &'static str, gives: Gives, summary: &'static str) -> SignInRoute {
    SignInRoute { method, path, least: None, in_person: false, summary, takes: None, gives }
}

const fn of_anybody(method: &'static str, path: &'static str, gives: Gives, summary: &'static str) -> SignInRoute {
    SignInRoute { least: Some(Role::Agent), ..of_nobody(method, path, gives, summary) }
}

impl SignInRoute {
    const fn in_person(self) -> Self {
        Self { in_person: true, ..self }
    }

    const fn takes(self, shape: Shape) -> Self {
        Self { takes: Some(shape), ..self }
    }
}

/// All of them.
pub const ROUTES: [SignInRoute; 12] = {
    use Gives::{Elsewhere, Made, Nothing, One, Page};
    let session = Shape::of::<sessions::Session>();
    let (sessions, tokens) = (Shape::of::<sessions::Listed>(), Shape::of::<tokens::Listed>());
    let of_all = "One's own, or with `everybody=true` those of all whom one looks after";
    [
        of_nobody("POST", "/sign-in", One(session), "Sign in by a password").takes(Shape::of::<SignInBody>()),
        of_nobody(
            "POST",
            "/sign-in/openid-connect",
            One(Shape::of::<SentAway>()),
            "Begin to sign in by the identity provider",
        )
        .takes(Shape::of::<BeginBody>()),
        of_nobody(
            "GET",
            "/sign-in/openid-connect/callback",
            Elsewhere,
            "Where the identity provider sends a browser back to",
        ),
        of_nobody("GET", "/session", One(session), "Who is signed in, and how one may sign in"),
        of_anybody("POST", "/sign-out", Nothing, "Sign out").in_person(),
        of_anybody("PUT", "/session/password", Nothing, "Change one's password; other sessions end")
            .takes(Shape::of::<PasswordBody>())
            .in_person(),
        of_anybody("GET", "/sessions", Page(sessions), of_all),
        of_anybody("DELETE", "/sessions/{id}", Nothing, "End a session"),
        of_nobody("POST", "/invitations/accept", Made(session), "Accept an invitation, and be signed in")
            .takes(Shape::of::<Acceptance>()),
        of_anybody("GET", "/tokens", Page(tokens), of_all),
        of_anybody("POST", "/tokens", Made(Shape::of::<tokens::Made>()), "Make a token; it is shown once")
            .takes(Shape::of::<tokens::TokenBody>())
            .in_person(),
        of_anybody("DELETE", "/tokens/{id}", Nothing, "End a token"),
    ]
};
