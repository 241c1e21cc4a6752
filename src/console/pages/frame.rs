//! What every page has around its own, and the headers that it is sent with.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use askama::Template;

/// What pages may load and do (Content Security Policy Level 3): our own files, pictures that style has in itself, forms to
/// ourselves; no frame shows them.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; media-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Around a page.
#[derive(Debug, Clone, Default)]
pub(super) struct Frame {
    /// What every path begins with, without a slash at its end.
    pub(super) root: String,
    /// Who is signed in.
    pub(super) who: Option<Who>,
    /// What forms show that they are ours by.
    pub(super) csrf_token: String,
    /// Whether what was sent was kept just now.
    pub(super) is_kept: bool,
    /// Where one may go.
    pub(super) tabs: Vec<Tab>,
}

/// Somebody.
#[derive(Debug, Clone)]
pub(super) struct Who {
    pub(super) login: String,
    pub(super) role: String,
}

/// A place to go to.
#[derive(Debug, Clone)]
pub(super) struct Tab {
    pub(super) name: &'static str,
    /// Below the root.
    pub(super) path: String,
    /// Whether this page is there.
    pub(super) is_here: bool,
}

/// A page.
pub(super) fn shown(status: StatusCode, page: &impl Template) -> HttpResponse {
    let Ok(text) = page.render() else { return HttpResponse::InternalServerError().finish() };
    HttpResponse::build(status)
        .insert_header((CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((REFERRER_POLICY, "same-origin"))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header(("Cross-Origin-Opener-Policy", "same-origin"))
        .body(text)
}

/// A path below the root: without what every path begins with, where it begins with it.
pub(super) fn below<'a>(root: &str, path: &'a str) -> &'a str {
    match path.strip_prefix(root) {
        Some(rest) if rest.starts_with('/') => rest,
        _ => path,
    }
}

/// A file that a browser keeps.
pub(super) fn file(bytes: Vec<u8>, media_type: &'static str, name: &str) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, media_type))
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")))
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(bytes)
}

/// Sound, as a WAV file.
pub(super) fn sound(wav: Vec<u8>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "audio/wav"))
        .insert_header((CONTENT_SECURITY_POLICY, "default-src 'none'; media-src 'self'; style-src 'unsafe-inline'"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(wav)
}

/// To another page, which is read.
pub(super) fn see_other(root: &str, path: &str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((LOCATION, format!("{root}{path}")))
        .insert_header((CACHE_CONTROL, "no-store"))
        .finish()
}
