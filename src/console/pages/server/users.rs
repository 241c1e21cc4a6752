//! Users of all tenants, and the operators themselves (`users.rs`).

use askama::Template;
use bellhop_tenancy::access::Role;
use serde_json::json;

use super::super::Outcome;
use super::super::answered::{list_of, status_of, text};
use super::super::frame::{Frame, shown};
use super::super::told::Told;
use super::super::users::{Invited, User, sent};
use super::super::visit::{Page, Visit, led_on};
use super::{Link, links};
use crate::problem::Problem;

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
    // Those of tenants are on the pages of their tenants.
    let operators = list_of(&invited).iter().filter(|one| one["tenant"].is_null());
    let tenants = visit.get("/tenants?limit=200").await?;
    let mut all = User::all(&users);
    for user in &mut all {
        let own = list_of(&tenants).iter().find(|tenant| tenant["id"] == user.tenant.as_str());
        user.called = own.map_or_else(|| user.tenant.clone(), |tenant| text(tenant, "title"));
    }
    let page = UsersPage {
        frame: visit.frame(),
        told: visit.told(problem),
        links: links(visit),
        users: all,
        next: users["next"].as_str().map(str::to_owned),
        invited: operators.map(Invited::of).collect(),
        link,
        login: if problem.is_some() { visit.form.line("login") } else { String::new() },
    };
    Ok(shown(status_of(problem), &page))
}

async fn send(visit: Visit) -> Outcome {
    let sent = sent(&visit, json!({"login": visit.form.line("login"), "role": "operator"})).await;
    if let Ok(Some(link)) = sent {
        return page(&visit, None, Some(link)).await;
    }
    let sent = sent.map(|_| visit.path_below_root());
    led_on(&visit, sent, |visit, problem| async move { page(visit, Some(&problem), None).await }).await
}
