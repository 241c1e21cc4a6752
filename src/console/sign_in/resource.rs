//! The table of the sign-in's resources: the methods of each path, and who may ask.
//!
//! Invariant: each is served under [`crate::API`] by what stands in [`ROUTES`], and answers 405 with `Allow` to every other method (RFC 9110
//! section 15.5.6). What somebody may beyond their role is said where it is done.

use actix_web::http::Method;
use actix_web::{FromRequest, Handler, HttpRequest, HttpResponse, Resource, Responder, web};
use bellhop_tenancy::access::Role;
use bellhop_tenancy::id::Id;

use crate::API;
use crate::problem::Problem;

/// One thing that may be asked of the sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
}

const fn of_nobody(method: &'static str, path: &'static str, summary: &'static str) -> SignInRoute {
    SignInRoute { method, path, least: None, in_person: false, summary }
}

const fn of_anybody(method: &'static str, path: &'static str, summary: &'static str) -> SignInRoute {
    SignInRoute { method, path, least: Some(Role::Agent), in_person: false, summary }
}

const fn in_person(route: SignInRoute) -> SignInRoute {
    SignInRoute { in_person: true, ..route }
}

/// All of them.
pub const ROUTES: [SignInRoute; 10] = [
    of_nobody("POST", "/sign-in", "Sign in by a password"),
    of_nobody("GET", "/session", "Who is signed in, and how one may sign in"),
    in_person(of_anybody("POST", "/sign-out", "Sign out")),
    in_person(of_anybody("PUT", "/session/password", "Change one's password; other sessions end")),
    of_anybody("GET", "/sessions", "One's sessions, or with `everybody=true` those of all whom one looks after"),
    of_anybody("DELETE", "/sessions/{id}", "End a session"),
    of_nobody("POST", "/invitations/accept", "Accept an invitation, and be signed in"),
    of_anybody("GET", "/tokens", "One's tokens, or with `everybody=true` those of all whom one looks after"),
    in_person(of_anybody("POST", "/tokens", "Make a token; it is shown once")),
    of_anybody("DELETE", "/tokens/{id}", "End a token"),
];

/// A path with what is served under it.
pub(super) fn resource(path: &'static str) -> Resource {
    let allowed = allowed(path);
    web::resource(format!("{API}{path}")).default_service(web::to(move || {
        let refused = Problem::method_not_allowed(&allowed);
        async move { Err::<HttpResponse, _>(refused) }
    }))
}

/// What may be read is read by HEAD too.
pub(super) fn read<F, Args>(resource: Resource, read: F) -> Resource
where
    F: Handler<Args> + Clone,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    resource.route(web::get().to(read.clone())).route(web::method(Method::HEAD).to(read))
}

fn allowed(path: &str) -> String {
    let methods = ROUTES.iter().filter(|route| route.path == path).map(|route| route.method);
    methods.map(|method| if method == "GET" { "GET, HEAD" } else { method }).collect::<Vec<_>>().join(", ")
}

/// `{id}` of a path; what is none names nothing.
pub(super) fn identifier(request: &HttpRequest) -> Result<Id, Problem> {
    request.match_info().query("id").parse().map_err(|_| Problem::not_found())
}
