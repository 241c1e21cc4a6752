//! The tenant that the path of a page names, and what belongs to it.
//!
//! Invariant: what a path names below a tenant is that tenant's, or it is not there, whatever else its reader may see.

use serde_json::{Value, json};

use super::answered::text;
use super::visit::Visit;
use crate::problem::Problem;

/// Whose page it is.
#[derive(Clone)]
pub(super) struct Tenant {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) from_file: bool,
    /// Why its calls cannot go to a contact center.
    pub(super) no_contact_center: Option<String>,
}

impl Tenant {
    /// The one that the path names.
    pub(super) async fn of(visit: &Visit) -> Result<Self, Problem> {
        let tenant = visit.get(format!("/tenants/{}", visit.name("tenant"))).await?;
        let from_file = tenant["from_file"] == true;
        let no_contact_center = match tenant["plan"].as_str() {
            Some(plan) => {
                let plan = visit.get(format!("/plans/{plan}")).await?;
                let why = || {
                    let name = text(&plan, "name");
                    format!(
                        "The plan `{name}` has no contact center: an operator of this server can give you another plan."
                    )
                };
                (plan["contact_center"] != true).then(why)
            }
            None => None,
        };
        Ok(Self { id: text(&tenant, "id"), title: text(&tenant, "title"), from_file, no_contact_center })
    }

    /// What the path names by `name`, like `integration`; 404 if it is another tenant's.
    pub(super) async fn own(&self, visit: &Visit, name: &str) -> Result<Value, Problem> {
        let own = visit.get(format!("/{name}s/{}", visit.name(name))).await?;
        if own["tenant"] == json!(self.id) { Ok(own) } else { Err(Problem::not_found()) }
    }
}
