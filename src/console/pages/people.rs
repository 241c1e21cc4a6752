//! Who belongs to a tenant: users, and those who are invited.
//!
//! Invariant: the link of an invitation is shown once, on the page that answers its making; whoever reloads that page makes no other.

use askama::Template;
use bellhop_tenancy::access::Role;
use serde_json::{Value, json};

use super::Outcome;
use super::answered::{list_of, status_of, text};
use super::frame::{Frame, shown};
use super::tenant::Tenant;
use super::told::Told;
use super::visit::{Page, Visit, led_on};
use crate::problem::Problem;
use crate::rest::Inquiry;

#[derive(Template)]
#[template(path = "people.html")]
struct PeoplePage {
    frame: Frame,
    told: Option<Told>,
    tenant: Tenant,
    users: Vec<User>,
    invited: Vec<Invited>,
    /// What somebody is given who was invited just now.
    link: Option<String>,
    login: String,
    role: String,
}

struct User {
    id: String,
    revision: String,
    login: String,
    role: String,
    is_enabled: bool,
}

struct Invited {
    id: String,
    login: String,
    role: String,
    until: String,
}

pub(super) fn pages() -> Vec<Page> {
    vec![
        Page::new("/tenants/{tenant}/people", Role::Admin, |visit| async move { page(&visit, None, None).await })
            .sends(send),
    ]
}

async fn page(visit: &Visit, problem: Option<&Problem>, link: Option<String>) -> Outcome {
    let tenant = Tenant::of(visit).await?;
    let of = format!("?tenant={}&limit=200", tenant.id);
    let (users, invited) = (visit.get(format!("/users{of}")).await?, visit.get(format!("/invitations{of}")).await?);
    let user = |user: &Value| User {
        id: text(user, "id"),
        revision: user["revision"].to_string(),
        login: text(user, "login"),
        role: text(user, "role"),
        is_enabled: user["enabled"] == true,
    };
    let invitation = |one: &Value| Invited {
        id: text(one, "id"),
        login: text(one, "login"),
        role: text(one, "role"),
        until: text(one, "expires_at").split('T').next().unwrap_or_default().to_owned(),
    };
    let typed = |field: &str| if problem.is_some() { visit.form.line(field) } else { String::new() };
    let page = PeoplePage {
        frame: visit.frame(),
        told: visit.told(problem),
        users: list_of(&users).iter().map(user).collect(),
        invited: list_of(&invited).iter().map(invitation).collect(),
        link,
        login: typed("login"),
        role: typed("role"),
        tenant,
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
            let body = json!({"login": form.line("login"), "role": form.line("role"), "tenant": visit.name("tenant")});
            match visit.ask(Inquiry::post_json("/invitations", body)).await {
                Ok(made) => return page(&visit, None, made["link"].as_str().map(str::to_owned)).await,
                Err(problem) => Err(problem),
            }
        }
    };
    let sent = sent.map(|_| visit.path_below_root());
    led_on(&visit, sent, |visit, problem| async move { page(visit, Some(&problem), None).await }).await
}
