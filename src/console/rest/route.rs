//! A route: what is asked by which method under which path, who may, what it takes and what it gives.
//!
//! Invariant: a route is one row; the resources of actix, the roles that are enforced and the OpenAPI document are all made of it, so
//! that none of them knows a route that another does not (`tests/frame.rs`).

use std::future::Future;
use std::pin::Pin;

use actix_web::http::{Method, StatusCode};
use bellhop_tenancy::access::Role;
use utoipa::ToSchema;

use super::asked::Asked;
use super::given::Given;
use crate::problem::Problem;
use crate::shape::Shape;

/// What a request comes to.
pub(super) type Outcome = Result<Given, Problem>;

/// Whoever answers the requests of a route.
pub(super) type Answerer = Box<dyn Fn(Asked) -> Pin<Box<dyn Future<Output = Outcome>>> + Send + Sync>;

/// One row of the table of routes.
pub(super) struct Route {
    /// By which method.
    pub method: Method,
    /// Under which path below `/api/v1`, with its parameters in braces.
    pub path: &'static str,
    /// Who may, at least.
    pub least: Role,
    /// What it does, in a few words.
    pub summary: &'static str,
    /// What it takes.
    pub takes: Takes,
    /// What it gives when all goes well.
    pub gives: Gives,
    /// The parameters of its query.
    pub query: Vec<Parameter>,
    /// Whether it changes something whose state has to be named.
    pub conditional: bool,
    /// Problems that only some routes have.
    pub problems: Vec<StatusCode>,
    /// Whether its answer shows something once, which is not kept for a request that is sent again.
    pub shown_once: bool,
    /// Whether a token may not, whatever its role.
    pub in_person: bool,
    /// Whether it asks somebody's service, and leaves what it names as it is whatever its method.
    pub is_trial: bool,
    /// Whether the OpenAPI document tells of it: of all but the pages that show that document.
    pub documented: bool,
    /// Who answers.
    pub answerer: Answerer,
}

/// What a route takes.
#[derive(Clone, Copy)]
pub(super) enum Takes {
    /// No body.
    Nothing,
    /// `application/json`
    Json(Shape),
    /// `application/merge-patch+json` (RFC 7396)
    MergePatch(Shape),
    /// `text/csv`
    Csv,
}

/// What a route gives.
#[derive(Clone, Copy)]
pub(super) enum Gives {
    /// No body.
    Nothing,
    /// Something.
    One(Shape),
    /// Something that was made: its address is told.
    Made(Shape),
    /// One page of a list.
    Page(Shape),
    /// A list that is no longer than one page.
    All(Shape),
    /// Something of another media type than JSON.
    Text(&'static str),
    /// The same, whole or in parts (`Range`).
    Parts(&'static str),
}

/// A parameter of a query.
#[derive(Clone, Copy)]
pub(super) struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What it says.
    pub says: &'static str,
    /// Whether it may be left out.
    pub required: bool,
}

/// `?tenant=` of a list.
pub(super) const OF_TENANT: Parameter =
    Parameter { name: "tenant", says: "The identifier of a tenant: its things alone.", required: false };
/// `?tenant=` of what is made.
pub(super) const FOR_TENANT: Parameter = Parameter {
    name: "tenant",
    says: "The identifier of the tenant that it is made for. Operators name one; for others it is their own.",
    required: false,
};
/// `?limit=` of a list.
pub(super) const LIMIT: Parameter =
    Parameter { name: "limit", says: "How many at most: 1 to 200, 50 if it is left out.", required: false };
/// `?after=` of a list.
pub(super) const AFTER: Parameter = Parameter { name: "after", says: "`next` of the page before.", required: false };

impl Route {
    fn new<F, A>(method: Method, path: &'static str, least: Role, summary: &'static str, answerer: A) -> Self
    where
        A: Fn(Asked) -> F + Send + Sync + 'static,
        F: Future<Output = Outcome> + 'static,
    {
        Self {
            method,
            path,
            least,
            summary,
            takes: Takes::Nothing,
            gives: Gives::Nothing,
            query: vec![],
            conditional: false,
            problems: vec![],
            shown_once: false,
            in_person: false,
            is_trial: false,
            documented: true,
            answerer: Box::new(move |asked| Box::pin(answerer(asked))),
        }
    }

    /// Reads.
    pub(super) fn get<F, A>(path: &'static str, least: Role, summary: &'static str, answerer: A) -> Self
    where
        A: Fn(Asked) -> F + Send + Sync + 'static,
        F: Future<Output = Outcome> + 'static,
    {
        Self::new(Method::GET, path, least, summary, answerer)
    }

    /// Makes something, or does something.
    pub(super) fn post<F, A>(path: &'static str, least: Role, summary: &'static str, answerer: A) -> Self
    where
        A: Fn(Asked) -> F + Send + Sync + 'static,
        F: Future<Output = Outcome> + 'static,
    {
        Self::new(Method::POST, path, least, summary, answerer)
    }

    /// Changes what stands under an address.
    pub(super) fn patch<T, F, A>(path: &'static str, least: Role, summary: &'static str, answerer: A) -> Self
    where
        T: ToSchema,
        A: Fn(Asked) -> F + Send + Sync + 'static,
        F: Future<Output = Outcome> + 'static,
    {
        let takes = Takes::MergePatch(Shape::of::<T>());
        Self { takes, conditional: true, ..Self::new(Method::PATCH, path, least, summary, answerer) }
    }

    /// Deletes what stands under an address.
    pub(super) fn delete<F, A>(path: &'static str, least: Role, summary: &'static str, answerer: A) -> Self
    where
        A: Fn(Asked) -> F + Send + Sync + 'static,
        F: Future<Output = Outcome> + 'static,
    {
        Self { conditional: true, ..Self::new(Method::DELETE, path, least, summary, answerer) }
    }

    /// It takes JSON.
    pub(super) fn takes<T: ToSchema>(mut self) -> Self {
        self.takes = Takes::Json(Shape::of::<T>());
        self
    }

    /// It takes CSV.
    pub(super) fn takes_csv(mut self) -> Self {
        self.takes = Takes::Csv;
        self
    }

    /// It gives something.
    pub(super) fn gives<T: ToSchema>(mut self) -> Self {
        self.gives = Gives::One(Shape::of::<T>());
        self
    }

    /// It makes something for a tenant, and gives it.
    pub(super) fn makes<T: ToSchema>(mut self) -> Self {
        self.gives = Gives::Made(Shape::of::<T>());
        self
    }

    /// It gives a page of a list.
    pub(super) fn pages<T: ToSchema>(mut self) -> Self {
        self.gives = Gives::Page(Shape::of::<T>());
        self.query.extend([LIMIT, AFTER]);
        self
    }

    /// It gives a whole list.
    pub(super) fn lists<T: ToSchema>(mut self) -> Self {
        self.gives = Gives::All(Shape::of::<T>());
        self
    }

    /// It gives something of another media type than JSON.
    pub(super) fn gives_text(mut self, media_type: &'static str) -> Self {
        self.gives = Gives::Text(media_type);
        self
    }

    /// It gives something of another media type than JSON, whole or in parts.
    pub(super) fn gives_parts(mut self, media_type: &'static str) -> Self {
        self.gives = Gives::Parts(media_type);
        self
    }

    /// Its query has a parameter.
    pub(super) fn with(mut self, parameter: Parameter) -> Self {
        self.query.push(parameter);
        self
    }

    /// It has to be said which state of the thing is meant.
    pub(super) fn conditional(mut self) -> Self {
        self.conditional = true;
        self
    }

    /// What it acts on has no states: nothing has to be said of them.
    pub(super) fn unconditional(mut self) -> Self {
        self.conditional = false;
        self
    }

    /// It may have this problem.
    pub(super) fn may(mut self, status: StatusCode) -> Self {
        self.problems.push(status);
        self
    }

    /// What it answers is shown once.
    pub(super) fn shown_once(mut self) -> Self {
        self.shown_once = true;
        self
    }

    /// A token may not.
    pub(super) fn in_person(mut self) -> Self {
        self.in_person = true;
        self
    }

    /// It asks somebody's service, and leaves what it names as it is.
    pub(super) fn tries(mut self) -> Self {
        self.is_trial = true;
        self
    }

    /// The OpenAPI document does not tell of it.
    pub(super) fn undocumented(mut self) -> Self {
        self.documented = false;
        self
    }

    /// Whether a request may carry an `Idempotency-Key`.
    pub(super) fn takes_keys(&self) -> bool {
        self.method == Method::POST
    }
}
