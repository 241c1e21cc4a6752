//! Changing one's own password.
//!
//! Invariant: what was typed is shown to nobody, not even again to who typed it.

use actix_web::http::StatusCode;
use actix_web::web::{self, Payload};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use bellhop_tenancy::Secret;

use super::form::{CSRF_TOKEN, Form, Sender};
use super::frame::{Frame, see_other, shown};
use super::sign_in::{frame_of, nobody, problem_page};
use super::told::Told;
use crate::problem::Problem;
use crate::sign_in::csrf::refused_of_others;
use crate::sign_in::password::CHARACTERS_MIN;
use crate::sign_in::{SignIn, Visitor};

const PATH: &str = "/password";

#[derive(Template)]
#[template(path = "password.html")]
struct PasswordPage {
    frame: Frame,
    told: Option<Told>,
    password_chars: usize,
}

fn page(frame: Frame, problem: Option<(&Problem, &Form)>) -> HttpResponse {
    let status = problem.map_or(StatusCode::OK, |(problem, _)| problem.status());
    let told = problem.map(|(problem, form)| Told::of(problem, form));
    shown(status, &PasswordPage { frame, told, password_chars: CHARACTERS_MIN })
}

async fn show(request: HttpRequest) -> HttpResponse {
    let Ok(sign_in) = SignIn::of(&request) else { return HttpResponse::NotFound().finish() };
    match Visitor::seen(&request).await {
        Ok(visitor) => {
            let is_kept = request.query_string() == "kept=1";
            page(Frame { is_kept, ..frame_of(&sign_in, &visitor) }, None)
        }
        Err(problem) if problem.status() == StatusCode::UNAUTHORIZED => {
            see_other(sign_in.settings().root(), &format!("/sign-in?return_to={PATH}"))
        }
        Err(problem) => problem_page(nobody(&sign_in), &problem),
    }
}

async fn sends(request: HttpRequest, payload: Payload) -> HttpResponse {
    let Ok(sign_in) = SignIn::of(&request) else { return HttpResponse::NotFound().finish() };
    let read = async {
        if let Some(why) = refused_of_others(&request, sign_in.settings()) {
            return Err(Problem::forbidden(why));
        }
        let address = sign_in.address(&request);
        let is_known = Visitor::seen(&request).await.is_ok();
        let sender = if is_known { Sender::Known(address) } else { Sender::Stranger(address) };
        let form = Form::read(&request, payload, sender).await?;
        let visitor = Visitor::of_form(&request, form.text(CSRF_TOKEN)).await?;
        Ok((form, visitor))
    };
    let (form, visitor) = match read.await {
        Ok(read) => read,
        Err(problem) => return problem_page(nobody(&sign_in), &problem),
    };
    let (current, password) = (Secret::new(form.text("current_password")), form.text("password").to_owned());
    match sign_in.change_password(&visitor, current, password).await {
        Ok(()) => see_other(sign_in.settings().root(), &format!("{PATH}?kept=1")),
        Err(problem) => page(frame_of(&sign_in, &visitor), Some((&problem, &form))),
    }
}

/// Its page.
pub(super) fn configure(config: &mut web::ServiceConfig) {
    config.service(web::resource(PATH).route(web::get().to(show)).route(web::post().to(sends)));
}
