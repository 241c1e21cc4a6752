//! How a path is served: by its methods, and with 405 and `Allow` to every other (RFC 9110 section 15.5.6).

use actix_web::http::Method;
use actix_web::{FromRequest, Handler, HttpRequest, HttpResponse, Resource, Responder, web};
use bellhop_tenancy::id::Id;

use crate::API;
use crate::problem::Problem;

/// A path with what is served under it.
pub(super) fn resource(path: &'static str, allowed: &'static str) -> Resource {
    web::resource(format!("{API}{path}")).default_service(web::to(move || {
        let refused = Problem::method_not_allowed(allowed);
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

/// `{id}` of a path; what is none names nothing.
pub(super) fn identifier(request: &HttpRequest) -> Result<Id, Problem> {
    request.match_info().query("id").parse().map_err(|_| Problem::not_found())
}
