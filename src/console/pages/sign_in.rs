//! Signing in and out, accepting an invitation, and what somebody sees who is not let in.
//!
//! Invariant: a secret that was typed goes to the sign-in, and back into the form of who typed it at most; what is to be sent again after a
//! sign-in is sent by a person who presses a button, and came of our own pages.

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderValue, REFRESH, SET_COOKIE};
use actix_web::web::{self, Payload};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use bellhop_tenancy::Secret;
use serde::{Deserialize, Serialize};

use super::form::{Form, Sender};
use super::frame::{Frame, Who, below, see_other, shown};
use super::told::Told;
use crate::problem::Problem;
use crate::sign_in::csrf::refused_of_others;
use crate::sign_in::password::CHARACTERS_MIN;
use crate::sign_in::{Acceptance, Began, BeginBody, Settings, SignIn, Visitor, refused_path};

/// What somebody typed whose session had ended.
#[derive(Serialize, Deserialize)]
pub(super) struct Resume {
    pub(super) path: String,
    pub(super) fields: Vec<(String, String)>,
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage<'a> {
    frame: Frame,
    told: Option<Told>,
    login: &'a str,
    return_to: &'a str,
    resume: Option<String>,
    provider: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "claim.html")]
struct ClaimPage<'a> {
    frame: Frame,
    told: Option<Told>,
    secret: &'a str,
    login: &'a str,
    provider: Option<&'a str>,
    password_chars: usize,
}

#[derive(Template)]
#[template(path = "sent_away.html")]
struct SentAwayPage<'a> {
    frame: Frame,
    location: &'a str,
    provider: &'a str,
}

#[derive(Template)]
#[template(path = "resume.html")]
struct ResumePage {
    frame: Frame,
    why: String,
    path: String,
    fields: Vec<(String, String)>,
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage {
    frame: Frame,
    title: String,
    told: Option<Told>,
    back: &'static str,
    back_to: &'static str,
}

/// A page of what was not done.
pub(super) fn problem_page(frame: Frame, problem: &Problem) -> HttpResponse {
    let title = match problem.status() {
        StatusCode::NOT_FOUND => "There is no such page",
        StatusCode::FORBIDDEN => "You may not do this",
        StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED => "Somebody else was first",
        status if status.is_server_error() => "This did not work",
        _ => "This cannot be done so",
    };
    let (back, back_to) = if frame.who.is_some() { ("/", "To the first page") } else { ("/sign-in", "Sign in") };
    let page = ProblemPage { frame, title: title.to_owned(), told: Some(Told::from(problem)), back, back_to };
    let mut response = shown(problem.status(), &page);
    for (name, value) in problem.headers() {
        response.headers_mut().insert(name.clone(), value.clone());
    }
    response
}

/// What a browser is shown that comes back from the identity provider in vain.
pub fn page_of_problem(settings: &Settings, problem: &Problem) -> HttpResponse {
    problem_page(Frame { root: settings.root().to_owned(), ..Frame::default() }, problem)
}

/// What whoever sends something sees whose session has ended.
pub(super) fn asked_to_sign_in(sign_in: &SignIn, frame: Frame, resume: Resume) -> HttpResponse {
    let resume = serde_json::to_string(&resume).ok();
    let provider = sign_in.provider_name();
    let page = SignInPage { frame, told: None, login: "", return_to: "/", resume, provider };
    shown(StatusCode::UNAUTHORIZED, &page)
}

pub(super) fn nobody(sign_in: &SignIn) -> Frame {
    Frame { root: sign_in.settings().root().to_owned(), ..Frame::default() }
}

/// A path that a page leads back to; the first page if it is none of ours.
fn back_to(root: &str, path: &str) -> String {
    // What is asked for stands below the root, and is written with it.
    let path = below(root, path);
    if refused_path(path).is_none() && !path.starts_with("/sign-in") { path.to_owned() } else { "/".to_owned() }
}

async fn sign_in_page(request: HttpRequest) -> HttpResponse {
    let Ok(sign_in) = SignIn::of(&request) else { return HttpResponse::NotFound().finish() };
    let query = form_urlencoded::parse(request.query_string().as_bytes());
    let asked = query.into_owned().find(|(name, _)| name == "return_to").map(|(_, path)| path).unwrap_or_default();
    let return_to = back_to(sign_in.settings().root(), &asked);
    let (frame, provider) = (nobody(&sign_in), sign_in.provider_name());
    let page = SignInPage { frame, told: None, login: "", return_to: &return_to, resume: None, provider };
    shown(StatusCode::OK, &page)
}

/// The form of somebody who is nobody yet, from our own pages.
async fn read(sign_in: &SignIn, request: &HttpRequest, payload: Payload) -> Result<Form, Problem> {
    match refused_of_others(request, sign_in.settings()) {
        Some(why) => Err(Problem::forbidden(why)),
        None => Form::read(request, payload, Sender::Stranger(sign_in.address(request))).await,
    }
}

async fn signs_in(request: HttpRequest, payload: Payload) -> HttpResponse {
    let Ok(sign_in) = SignIn::of(&request) else { return HttpResponse::NotFound().finish() };
    let form = match read(&sign_in, &request, payload).await {
        Ok(form) => form,
        Err(problem) => return problem_page(nobody(&sign_in), &problem),
    };
    let (login, root) = (form.line("login"), sign_in.settings().root());
    let return_to = back_to(root, form.text("return_to"));
    let resume: Option<Resume> = serde_json::from_str(form.text("resume")).ok();
    let resume = resume.filter(|resume| refused_path(&resume.path).is_none());
    match sign_in.by_password(&request, &login, Secret::new(form.text("password"))).await {
        Ok(began) => began_page(&sign_in, began, &return_to, resume),
        Err(problem) => {
            let told = Some(Told::from(&problem));
            let resume = resume.and_then(|resume| serde_json::to_string(&resume).ok());
            let (frame, provider) = (nobody(&sign_in), sign_in.provider_name());
            let page = SignInPage { frame, told, login: &login, return_to: &return_to, resume, provider };
            shown(problem.status(), &page)
        }
    }
}

/// Where somebody goes who signed in: on, or to what they typed before.
fn began_page(sign_in: &SignIn, began: Began, return_to: &str, resume: Option<Resume>) -> HttpResponse {
    let Began { visitor, cookie } = began;
    let mut response = match resume {
        None => see_other(sign_in.settings().root(), return_to),
        Some(Resume { path, fields }) => {
            let (path, frame) = (below(sign_in.settings().root(), &path).to_owned(), frame_of(sign_in, &visitor));
            send_again(frame, StatusCode::OK, "You are signed in again.", &path, fields)
        }
    };
    response.headers_mut().append(SET_COOKIE, cookie);
    response
}

/// What somebody typed, to be sent by them again.
pub(super) fn send_again(
    frame: Frame,
    status: StatusCode,
    why: &str,
    path: &str,
    mut fields: Vec<(String, String)>,
) -> HttpResponse {
    fields.retain(|(name, _)| name != super::form::CSRF_TOKEN);
    shown(status, &ResumePage { frame, why: why.to_owned(), path: path.to_owned(), fields })
}

pub(super) fn frame_of(sign_in: &SignIn, visitor: &Visitor) -> Frame {
    let who = Who { login: visitor.signed_in().name().to_owned(), role: visitor.role().to_string() };
    let csrf_token = visitor.csrf_token().unwrap_or_default().to_owned();
    Frame { who: Some(who), csrf_token, ..nobody(sign_in) }
}

async fn goes_to_provider(request: HttpRequest, payload: Payload) -> HttpResponse {
    let Ok(sign_in) = SignIn::of(&request) else { return HttpResponse::NotFound().finish() };
    let sent = async {
        let form = read(&sign_in, &request, payload).await?;
        let return_to = Some(back_to(sign_in.settings().root(), form.text("return_to")));
        sign_in.sends_away(&request, BeginBody { return_to, invitation: None, login: None }).await
    };
    match sent.await {
        Ok((sent_away, cookie)) => sent_away_page(&sign_in, &sent_away.location, cookie),
        Err(problem) => problem_page(nobody(&sign_in), &problem),
    }
}

/// A form may not lead elsewhere (`form-action`), a page that was answered may: it sends the browser on, or has a link that does.
fn sent_away_page(sign_in: &SignIn, location: &str, cookie: HeaderValue) -> HttpResponse {
    let provider = sign_in.provider_name().unwrap_or_default();
    let mut response = shown(StatusCode::OK, &SentAwayPage { frame: nobody(sign_in), location, provider });
    if let Ok(refresh) = HeaderValue::try_from(format!("0; url={location}")) {
        response.headers_mut().insert(REFRESH, refresh);
    }
    response.headers_mut().append(SET_COOKIE, cookie);
    response
}

async fn claim_page(request: HttpRequest) -> HttpResponse {
    let Ok(sign_in) = SignIn::of(&request) else { return HttpResponse::NotFound().finish() };
    claim(&sign_in, StatusCode::OK, None, "", "")
}

fn claim(sign_in: &SignIn, status: StatusCode, told: Option<Told>, secret: &str, login: &str) -> HttpResponse {
    let (frame, provider) = (nobody(sign_in), sign_in.provider_name());
    shown(status, &ClaimPage { frame, told, secret, login, provider, password_chars: CHARACTERS_MIN })
}

async fn claims(request: HttpRequest, payload: Payload) -> HttpResponse {
    let Ok(sign_in) = SignIn::of(&request) else { return HttpResponse::NotFound().finish() };
    let form = match read(&sign_in, &request, payload).await {
        Ok(form) => form,
        Err(problem) => return problem_page(nobody(&sign_in), &problem),
    };
    let typed = form.line("secret");
    // Whoever pastes the whole link means what stands behind its `#`.
    let secret = typed.rsplit('#').next().unwrap_or_default().to_owned();
    let login = Some(form.line("login")).filter(|login| !login.is_empty());
    let problem = if form.text("by") == "provider" {
        let body = BeginBody { return_to: None, invitation: Some(secret), login: login.clone() };
        match sign_in.sends_away(&request, body).await {
            Ok((sent_away, cookie)) => return sent_away_page(&sign_in, &sent_away.location, cookie),
            Err(problem) => problem,
        }
    } else {
        let acceptance = Acceptance { secret, login: login.clone(), password: form.text("password").to_owned() };
        match sign_in.joins(&request, acceptance).await {
            Ok(began) => return began_page(&sign_in, began, "/", None),
            Err(problem) => problem,
        }
    };
    claim(&sign_in, problem.status(), Some(Told::of(&problem, &form)), &typed, login.as_deref().unwrap_or_default())
}

async fn signs_out(request: HttpRequest, payload: Payload) -> HttpResponse {
    let Ok(sign_in) = SignIn::of(&request) else { return HttpResponse::NotFound().finish() };
    let ended = async {
        let form = read(&sign_in, &request, payload).await?;
        let visitor = Visitor::of_form(&request, form.text(super::form::CSRF_TOKEN)).await?;
        sign_in.ends(&visitor).await
    };
    let root = sign_in.settings().root();
    match ended.await {
        Err(problem) if problem.status() != StatusCode::UNAUTHORIZED => problem_page(nobody(&sign_in), &problem),
        // Whoever's session is over is signed out too.
        _ => {
            let mut response = see_other(root, "/sign-in");
            response.headers_mut().append(SET_COOKIE, sign_in.no_cookie());
            response
        }
    }
}

/// Its pages.
pub(super) fn configure(config: &mut web::ServiceConfig) {
    config
        .service(web::resource("/sign-in").route(web::get().to(sign_in_page)).route(web::post().to(signs_in)))
        .service(web::resource("/sign-in/provider").route(web::post().to(goes_to_provider)))
        .service(web::resource("/claim").route(web::get().to(claim_page)).route(web::post().to(claims)))
        .service(web::resource("/sign-out").route(web::post().to(signs_out)));
}
