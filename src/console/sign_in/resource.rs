//! How a path is served: by its methods, and with 405 and `Allow` to every other (RFC 9110 section 15.5.6).

use actix_web::http::Method;
use actix_web::{FromRequest, Handler, HttpRequest, HttpResponse, Resource, Responder, web};
use bellhop_tenancy::id::Id;

use crate::API;
use crate::problem::Problem;

/// A path with what is served under it; whatever else it is asked is answered by what may be.
pub(super) struct Served {
    resource: Resource,
    methods: Vec<Method>,
}

impl Served {
    /// Nothing yet, under a path below [`API`].
    pub(super) fn at(path: &'static str) -> Self {
        Self { resource: web::resource(format!("{API}{path}")), methods: vec![] }
    }

    /// By GET, and by HEAD.
    pub(super) fn get<F, Args>(self, answer: F) -> Self
    where
        F: Handler<Args> + Clone,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.by(Method::GET, answer.clone()).by(Method::HEAD, answer)
    }

    /// By POST.
    pub(super) fn post<F, Args>(self, answer: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.by(Method::POST, answer)
    }

    /// By PUT.
    pub(super) fn put<F, Args>(self, answer: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.by(Method::PUT, answer)
    }

    /// By DELETE.
    pub(super) fn delete<F, Args>(self, answer: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.by(Method::DELETE, answer)
    }

    fn by<F, Args>(mut self, method: Method, answer: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.methods.push(method.clone());
        Self { resource: self.resource.route(web::method(method).to(answer)), ..self }
    }

    /// All of it.
    pub(super) fn whole(self) -> Resource {
        let allowed = self.methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
        self.resource.default_service(web::to(move || {
            let refused = Problem::method_not_allowed(&allowed);
            async move { Err::<HttpResponse, _>(refused) }
        }))
    }
}

/// `{id}` of a path; what is none names nothing.
pub(super) fn identifier(request: &HttpRequest) -> Result<Id, Problem> {
    request.match_info().query("id").parse().map_err(|_| Problem::not_found())
}
