//! Users of all tenants, and the operators themselves.
//!
//! Invariant: the link of an invitation is shown once, on the page that answers its making.

use askama::Template;
use bellhop_tenancy::access::Role;
use serde_json::{Value, json};

use super::super::Outcome;
use super::super::answered::{list_of, status_of, text};
use super::super::frame::{Frame, shown};
use super::super::told::Told;
use super::super::visit::{Page, Visit, led_on};
use super::{Link, links};
use crate::problem::Problem;
use crate::rest::Inquiry;

#[derive(Template)]
#[template(path = "server/users.html")]
struct UsersPage {
    frame: Frame,
    told: Option<Told>,
    links: Vec<Link>,
    users: Vec<User>,
    next: Option<String>,
    invited: Vec<Invited>,
    link: Option<String>,
    login: String,
}

struct User {
    id: String,
    revision: String,
    login: String,
    role: String,
    /// Where they belong; empty for an operator.
    tenant: String,
    is_enabled: bool,
}

struct Invited {
    id: String,
    login: String,
    until: String,
}

pub(super) fn pages() -> Vec<Page> {
    let show = |visit: Visit| async move { page(&visit, None, None).await };
    vec![Page::new("/server/users", Role::Operator, show).sends(send)]
}

async fn page(visit: &Visit, problem: Option<&Problem>, link: Option<String>) -> Outcome {
    let after = match visit.query("after") {
        "" => String::new(),
        after => format!("&after={after}"),
    };
    let (users, invited) =
        (visit.get(format!("/users?limit=100{after}")).await?, visit.get("/invitations?limit=200").await?);
    let user = |user: &Value| User {
        id: text(user, "id"),
        revision: user["revision"].to_string(),
        login: text(user, "login"),
        role: text(user, "role"),
        tenant: text(user, "tenant"),
        is_enabled: user["enabled"] == true,
    };
    // Those of tenants are on the pages of their tenants.
    let operators = list_of(&invited).iter().filter(|one| one["tenant"].is_null());
    let invitation = |one: &Value| Invited {
        id: text(one, "id"),
        login: text(one, "login"),
        until: text(one, "expires_at").split('T').next().unwrap_or_default().to_owned(),
    };
    let page = UsersPage {
        frame: visit.frame(),
        told: visit.told(problem),
        links: links(visit),
        users: list_of(&users).iter().map(user).collect(),
        next: users["next"].as_str().map(str::to_owned),
        invited: operators.map(invitation).collect(),
        link,
        login: if problem.is_some() { visit.form.line("login") } else { String::new() },
    };
    Ok(shown(status_of(problem), &page))
}

async fn send(visit: Visit) -> Outcome {
    let form = &visit.form;
    let (id, revision) = (form.line("id"), form.line("revision").parse().unwrap_or_default());
    let user = format!("/users/{id}");
    let sent = match form.text("do") {
        "revoke" => visit.ask(Inquiry::delete(format!("/invitations/{id}"), 0)).await,
        "delete" => visit.ask(Inquiry::delete(user, revision)).await,
        "disable" => visit.ask(Inquiry::patch(user, revision, json!({"enabled": false}))).await,
        "enable" => visit.ask(Inquiry::patch(user, revision, json!({"enabled": true}))).await,
        _ => {
            let body = json!({"login": form.line("login"), "role": "operator"});
            match visit.ask(Inquiry::post_json("/invitations", body)).await {
                Ok(made) => return page(&visit, None, made["link"].as_str().map(str::to_owned)).await,
                Err(problem) => Err(problem),
            }
        }
    };
    let sent = sent.map(|_| visit.path_below_root());
    led_on(&visit, sent, |visit, problem| async move { page(visit, Some(&problem), None).await }).await
}
