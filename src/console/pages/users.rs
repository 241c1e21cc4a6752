//! Users, and those who are invited, as the people of a tenant and as operators see them.
//!
//! Invariant: the link of an invitation is shown once, on the page that answers its making; whoever reloads that page makes no other.

use serde_json::{Value, json};

use super::answered::{list_of, text};
use super::visit::Visit;
use crate::problem::Problem;
use crate::rest::Inquiry;

pub(super) struct User {
    pub(super) id: String,
    pub(super) revision: String,
    pub(super) login: String,
    pub(super) role: String,
    /// Where they belong; empty for an operator.
    pub(super) tenant: String,
    /// What that is called, for who sees several.
    pub(super) called: String,
    pub(super) is_enabled: bool,
}

impl User {
    /// Those of a list.
    pub(super) fn all(listed: &Value) -> Vec<Self> {
        let one = |user: &Value| Self {
            id: text(user, "id"),
            revision: user["revision"].to_string(),
            login: text(user, "login"),
            role: text(user, "role"),
            tenant: text(user, "tenant"),
            called: String::new(),
            is_enabled: user["enabled"] == true,
        };
        list_of(listed).iter().map(one).collect()
    }
}

pub(super) struct Invited {
    pub(super) id: String,
    pub(super) login: String,
    pub(super) role: String,
    /// A day.
    pub(super) until: String,
}

impl Invited {
    pub(super) fn of(one: &Value) -> Self {
        Self {
            id: text(one, "id"),
            login: text(one, "login"),
            role: text(one, "role"),
            until: text(one, "expires_at").split('T').next().unwrap_or_default().to_owned(),
        }
    }
}

/// Does what a form says: with a user, with an invitation, or invites somebody; the link of who was invited.
pub(super) async fn sent(visit: &Visit, invitation: Value) -> Result<Option<String>, Problem> {
    let form = &visit.form;
    let (id, revision) = (form.line("id"), form.line("revision").parse().unwrap_or_default());
    let user = format!("/users/{id}");
    let asked = match form.text("do") {
        "revoke" => Inquiry::delete(format!("/invitations/{id}"), 0),
        "delete" => Inquiry::delete(user, revision),
        "disable" => Inquiry::patch(user, revision, json!({"enabled": false})),
        "enable" => Inquiry::patch(user, revision, json!({"enabled": true})),
        _ => Inquiry::post_json("/invitations", invitation),
    };
    let answered = visit.ask(asked).await?;
    Ok(answered["link"].as_str().map(str::to_owned))
}
