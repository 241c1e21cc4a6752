//! Where a tenant wants it, whoever has a key signs in before the conversation is shown: here, in the same frame.
//!
//! Invariant: the key goes along in the body of the form and in the address of the page alone; what is sent comes of our own pages
//! (`bellhop_console::sign_in::agents`).

use actix_web::http::header::{LOCATION, SET_COOKIE};
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse, http::StatusCode};
use askama::Template;
use bellhop_console::problem::Problem;
use bellhop_console::sign_in::agents::{self, AgentForm};

use super::{Asked, Form, Framed, answer, query_of};
use crate::http::page_words::Words;

#[derive(Template)]
#[template(path = "agent_page_sign_in.html")]
struct SignIn<'a> {
    nonce: &'a str,
    words: &'static Words,
    key: &'a str,
    was_wrong: bool,
    /// What people call the identity provider, whose own pages stand in no frame: one signs in by it in a window of its own.
    provider: Option<String>,
    /// This page, for a window of its own.
    own_window: String,
}

/// The page.
pub(super) fn sign_in_page(request: &HttpRequest, asked: &Asked, words: &'static Words, nonce: &str) -> String {
    let provider = agents::provider(request);
    let own_window = query_of(&asked.key);
    let page = SignIn { nonce, words, key: &asked.key, was_wrong: asked.was_wrong, provider, own_window };
    page.render().unwrap_or_default()
}

/// Somebody signs in.
pub(super) async fn signs_in(request: &HttpRequest, payload: Payload) -> HttpResponse {
    let form = match AgentForm::read(request, payload).await {
        Ok(form) => form,
        Err(problem) => return refused(&problem),
    };
    let back = query_of(form.text("session_history_key"));
    match agents::signs_in(request, &form).await {
        Ok(cookie) => see_other(&back).insert_header((SET_COOKIE, cookie)).finish(),
        Err(problem) if problem.status() == StatusCode::UNAUTHORIZED => see_other(&format!("{back}&wrong=1")).finish(),
        Err(problem) => refused(&problem),
    }
}

/// Somebody signs out.
pub(super) async fn signs_out(request: &HttpRequest, payload: Payload) -> HttpResponse {
    let form = match AgentForm::read(request, payload).await {
        Ok(form) => form,
        Err(problem) => return refused(&problem),
    };
    match agents::signs_out(request, &form).await {
        Ok(cookie) => {
            see_other(&query_of(form.text("session_history_key"))).insert_header((SET_COOKIE, cookie)).finish()
        }
        Err(problem) => refused(&problem),
    }
}

/// To the page, which stands beside these.
fn see_other(query: &str) -> actix_web::HttpResponseBuilder {
    let mut response = answer(StatusCode::SEE_OTHER, Framed::ByAnybody, Form::None, "none");
    response.insert_header((LOCATION, format!("loadAgentAppFrame.html{query}")));
    response
}

/// What was not done, in a sentence.
fn refused(problem: &Problem) -> HttpResponse {
    let mut response = answer(problem.status(), Framed::ByAnybody, Form::None, "none");
    for (name, value) in problem.headers() {
        response.insert_header((name.clone(), value.clone()));
    }
    response.content_type("text/plain; charset=utf-8").body(problem.to_string())
}
