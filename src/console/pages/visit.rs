//! The way of every visit to a page: who comes, what they send, what they see.
//!
//! Invariant: nobody sees or sends a page of the table who is not signed in, and what is sent comes of our own forms. Whoever's session
//! ended meanwhile signs in again and loses nothing of what they typed.

use std::future::Future;
use std::pin::Pin;

use actix_web::http::{Method, StatusCode};
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};
use bellhop_tenancy::access::{Author, Role};
use bellhop_tenancy::id::Id;
use serde_json::Value;

use super::form::{CSRF_TOKEN, Form, Sender};
use super::frame::{Frame, Tab, Who, below, see_other};
use super::sign_in::{Resume, asked_to_sign_in, problem_page, send_again};
use super::told::Told;
use super::{Outcome, Pages};
use crate::problem::Problem;
use crate::rest::Inquiry;
use crate::sign_in::{SignIn, Visitor};

/// Whoever makes a page.
pub(super) type Maker = Box<dyn Fn(Visit) -> Pin<Box<dyn Future<Output = Outcome>>> + Send + Sync>;

/// One row of the table of pages.
pub(super) struct Page {
    /// Its path, with what it names in braces.
    pub(super) path: &'static str,
    /// Who may open it, at least.
    pub(super) least: Role,
    show: Maker,
    /// What its form does.
    send: Option<Maker>,
}

fn boxed<F: Future<Output = Outcome> + 'static>(make: impl Fn(Visit) -> F + Send + Sync + 'static) -> Maker {
    Box::new(move |visit| Box::pin(make(visit)))
}

impl Page {
    /// One that is read.
    pub(super) fn new<F>(path: &'static str, least: Role, show: impl Fn(Visit) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Outcome> + 'static,
    {
        Self { path, least, show: boxed(show), send: None }
    }

    /// It has a form.
    pub(super) fn sends<F>(mut self, send: impl Fn(Visit) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Outcome> + 'static,
    {
        self.send = Some(boxed(send));
        self
    }
}

/// Somebody who is signed in, at a page.
pub(super) struct Visit {
    pages: Pages,
    pub(super) by: Author,
    csrf_token: String,
    root: String,
    public_url: String,
    /// The path of the page, below the root.
    pub(super) path: String,
    names: Vec<(String, String)>,
    query: Vec<(String, String)>,
    /// What was sent; nothing of a page that is read.
    pub(super) form: Form,
}

impl Visit {
    /// Asks REST on behalf of who is here.
    pub(super) async fn ask(&self, inquiry: Inquiry) -> Result<Value, Problem> {
        self.pages.0.rest.ask(&self.by, inquiry).await
    }

    /// The same of what is no JSON.
    pub(super) async fn fetch(&self, inquiry: Inquiry) -> Result<Vec<u8>, Problem> {
        self.pages.0.rest.fetch(&self.by, inquiry).await
    }

    /// Reads.
    pub(super) async fn get(&self, target: impl Into<String>) -> Result<Value, Problem> {
        self.ask(Inquiry::get(target)).await
    }

    /// What the path names.
    pub(super) fn name(&self, name: &str) -> &str {
        self.names.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// What the query says; empty if it says nothing.
    pub(super) fn query(&self, name: &str) -> &str {
        self.query.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// Whether who is here may do what a role may.
    pub(super) fn may(&self, role: Role) -> bool {
        self.by.signed_in.role() >= role
    }

    /// `http.public_url`, without a slash at its end.
    pub(super) fn public_url(&self) -> &str {
        &self.public_url
    }

    /// What stands around a page.
    pub(super) fn frame(&self) -> Frame {
        let who = Who { login: self.by.signed_in.name().to_owned(), role: self.by.signed_in.role().to_string() };
        let mut places = vec![];
        if self.may(Role::Operator) {
            places.push(("Tenants", "/tenants".to_owned()));
            places.push(("Server", "/server".to_owned()));
        }
        let tenant = match self.by.signed_in.scope().tenant() {
            Some(own) => own.to_string(),
            None => self.name("tenant").to_owned(),
        };
        if tenant.is_empty() && self.may(Role::Operator) {
            places.push(("Dashboard", "/dashboard".to_owned()));
            places.push(("Refusals", "/refusals".to_owned()));
        }
        let dashboard = format!("/tenants/{tenant}");
        if !tenant.is_empty() && self.may(Role::Viewer) {
            places.push(("Dashboard", dashboard.clone()));
            places.push(("Integrations", format!("/tenants/{tenant}/integrations")));
            places.push(("Assistants", format!("/tenants/{tenant}/assistants")));
            places.push(("Speech", format!("/tenants/{tenant}/services")));
            places.push(("Calls", format!("/tenants/{tenant}/calls")));
            places.push(("Refusals", format!("/tenants/{tenant}/refusals")));
        }
        if !tenant.is_empty() && self.may(Role::Admin) {
            places.push(("People", format!("/tenants/{tenant}/people")));
        }
        // Everything of a tenant is below its dashboard.
        let is_below = |path: &str| path != dashboard && self.path.starts_with(&format!("{path}/"));
        let is_here = |path: &str| self.path == path || is_below(path);
        let longest = places.iter().map(|(_, path)| path).filter(|path| is_here(path)).max_by_key(|path| path.len());
        let longest = longest.cloned();
        let tab = |(name, path): (&'static str, String)| Tab { name, is_here: Some(&path) == longest.as_ref(), path };
        let tabs = places.into_iter().map(tab).collect();
        let is_kept = !self.query("kept").is_empty();
        Frame { root: self.root.clone(), who: Some(who), csrf_token: self.csrf_token.clone(), is_kept, tabs }
    }

    /// What a page says of what was wrong with its form.
    pub(super) fn told(&self, problem: Option<&Problem>) -> Option<Told> {
        problem.map(|problem| Told::of(problem, &self.form))
    }

    /// The path of this page as links have it.
    pub(super) fn path_below_root(&self) -> String {
        below(&self.root, &self.path).to_owned()
    }

    /// This page, which says that what was sent is kept.
    pub(super) fn kept(&self) -> String {
        format!("{}?kept=1", self.path_below_root())
    }

    /// To another page.
    pub(super) fn see_other(&self, path: &str) -> HttpResponse {
        see_other(&self.root, path)
    }
}

/// What comes of a form: it leads on, or its page is shown again with what was wrong.
pub(super) async fn led_on<'a, F: Future<Output = Outcome>>(
    visit: &'a Visit,
    sent: Result<String, Problem>,
    again: impl FnOnce(&'a Visit, Problem) -> F,
) -> Outcome {
    match sent {
        Ok(path) => Ok(visit.see_other(&path)),
        Err(problem) if problem.status().is_client_error() && problem.status() != StatusCode::NOT_FOUND => {
            again(visit, problem).await
        }
        Err(problem) => Err(problem),
    }
}

/// Serves a row of the table.
pub(super) async fn serve(pages: Pages, at: usize, request: HttpRequest, payload: Payload) -> HttpResponse {
    let sign_in = match SignIn::of(&request) {
        Ok(sign_in) => sign_in,
        Err(problem) => return problem_page(Frame::default(), &problem),
    };
    let root = sign_in.settings().root().to_owned();
    let nobody = Frame { root: root.clone(), ..Frame::default() };
    if let Some(problem) = refused_method(&pages.0.pages[at], request.method()) {
        return problem_page(nobody, &problem);
    }
    let seen = Visitor::seen(&request).await;
    let form = match sent(&sign_in, &request, payload, &seen).await {
        Ok(form) => form,
        Err(problem) => return problem_page(nobody, &problem),
    };
    let visitor = match is_read(request.method()) {
        true => seen.clone(),
        false => Visitor::of_form(&request, form.text(CSRF_TOKEN)).await,
    };
    match visitor {
        Ok(visitor) => visited(&pages, at, Visit::of(&pages, &visitor, &request, root, form)).await,
        Err(problem) if problem.status() == StatusCode::UNAUTHORIZED => strange(&sign_in, &request, nobody, form),
        Err(problem) => match seen {
            // Who signed in again in another tab has a newer token: it is our own form all the same, and a person sends it again.
            Ok(visitor) if !is_read(request.method()) && problem.status() == StatusCode::FORBIDDEN => {
                let visit = Visit::of(&pages, &visitor, &request, root, form);
                let why = "You signed in again since this page was shown.";
                send_again(visit.frame(), StatusCode::FORBIDDEN, why, &visit.path_below_root(), visit.form.0)
            }
            _ => problem_page(nobody, &problem),
        },
    }
}

/// Whether a request sends nothing.
fn is_read(method: &Method) -> bool {
    [Method::GET, Method::HEAD].contains(method)
}

/// A page is read, and sent to where it has a form.
fn refused_method(page: &Page, method: &Method) -> Option<Problem> {
    let (has_form, is_sent) = (page.send.is_some(), *method == Method::POST);
    let is_taken = is_read(method) || (is_sent && has_form);
    (!is_taken).then(|| Problem::method_not_allowed(if has_form { "GET, HEAD, POST" } else { "GET, HEAD" }))
}

/// The form that a request sends; an empty one of a page that is read.
async fn sent(
    sign_in: &SignIn,
    request: &HttpRequest,
    payload: Payload,
    seen: &Result<Visitor, Problem>,
) -> Result<Form, Problem> {
    if is_read(request.method()) {
        return Ok(Form::default());
    }
    if let Some(why) = crate::sign_in::csrf::refused_of_others(request, sign_in.settings()) {
        return Err(Problem::forbidden(why));
    }
    Form::read(request, payload, sender(sign_in, request, seen)).await
}

/// Whoever is nobody signs in, and is then where they wanted to go, with what they typed.
fn strange(sign_in: &SignIn, request: &HttpRequest, nobody: Frame, form: Form) -> HttpResponse {
    let path = request.path().to_owned();
    if !is_read(request.method()) {
        return asked_to_sign_in(sign_in, nobody, Resume { path, fields: form.0 });
    }
    let asked = request.uri().path_and_query().map_or(path.as_str(), |all| all.as_str());
    let asked: String = form_urlencoded::byte_serialize(asked.as_bytes()).collect();
    let (root, sign_in) = (nobody.root, format!("/sign-in?return_to={asked}"));
    match request.headers().contains_key("HX-Request") {
        // A part of a page that asks again by itself: the page goes there, and the part stays until then.
        true => HttpResponse::Unauthorized().insert_header(("HX-Redirect", format!("{root}{sign_in}"))).finish(),
        false => see_other(&root, &sign_in),
    }
}

fn sender(sign_in: &SignIn, request: &HttpRequest, seen: &Result<Visitor, Problem>) -> Sender {
    let address = sign_in.address(request);
    if seen.is_ok() { Sender::Known(address) } else { Sender::Stranger(address) }
}

async fn visited(pages: &Pages, at: usize, visit: Visit) -> HttpResponse {
    let (page, frame, is_sent) = (&pages.0.pages[at], visit.frame(), !visit.form.0.is_empty());
    if !visit.may(page.least) {
        return problem_page(
            frame,
            &Problem::forbidden("your role does not allow this page: ask an admin of your tenant"),
        );
    }
    if !visit.names.iter().all(|(_, name)| name.parse::<Id>().is_ok()) {
        return problem_page(frame, &Problem::not_found());
    }
    let (path, typed) = (visit.path_below_root(), visit.form.0.clone());
    let outcome = match page.send.as_ref().filter(|_| is_sent) {
        Some(send) => send(visit).await,
        None => (page.show)(visit).await,
    };
    match outcome {
        Ok(response) => response,
        // What was typed may be sent again when it works again.
        Err(problem) if is_sent && problem.status().is_server_error() => {
            send_again(frame, problem.status(), &format!("This did not work: {}.", problem.detail()), &path, typed)
        }
        Err(problem) => problem_page(frame, &problem),
    }
}

impl Visit {
    fn of(pages: &Pages, visitor: &Visitor, request: &HttpRequest, root: String, form: Form) -> Self {
        let names = request.match_info().iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self {
            pages: pages.clone(),
            by: visitor.author(),
            csrf_token: visitor.csrf_token().unwrap_or_default().to_owned(),
            root,
            public_url: SignIn::of(request).map(|sign_in| sign_in.settings().public_url.clone()).unwrap_or_default(),
            path: request.path().to_owned(),
            names,
            query: form_urlencoded::parse(request.query_string().as_bytes()).into_owned().collect(),
            form,
        }
    }
}
