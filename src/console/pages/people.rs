//! Who belongs to a tenant: users, and those who are invited (`users.rs`).

use askama::Template;
use bellhop_tenancy::access::Role;
use serde_json::json;

use super::Outcome;
use super::answered::{list_of, status_of};
use super::frame::{Frame, shown};
use super::tenant::Tenant;
use super::told::Told;
use super::users::{Invited, User, sent};
use super::visit::{Page, Visit, led_on};
use crate::problem::Problem;

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
    let typed = |field: &str| if problem.is_some() { visit.form.line(field) } else { String::new() };
    let page = PeoplePage {
        frame: visit.frame(),
        told: visit.told(problem),
        users: User::all(&users),
        invited: list_of(&invited).iter().map(Invited::of).collect(),
        link,
        login: typed("login"),
        role: typed("role"),
        tenant,
    };
    Ok(shown(status_of(problem), &page))
}

async fn send(visit: Visit) -> Outcome {
    let (login, role) = (visit.form.line("login"), visit.form.line("role"));
    let sent = sent(&visit, json!({"login": login, "role": role, "tenant": visit.name("tenant")})).await;
    if let Ok(Some(link)) = sent {
        return page(&visit, None, Some(link)).await;
    }
    let sent = sent.map(|_| visit.path_below_root());
    led_on(&visit, sent, |visit, problem| async move { page(visit, Some(&problem), None).await }).await
}
