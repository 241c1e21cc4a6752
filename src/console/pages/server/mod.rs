//! What an operator sees of the server itself: the servers that share a store, plans, users of all tenants, numbers in dispute, the audit.
//!
//! Invariant: each is asked of REST by who may, and nothing here knows more than REST tells an operator.

mod audit;
mod nodes;
mod numbers;
mod plans;
mod tenant;
mod users;

use super::visit::{Page, Visit};

/// Where it begins.
const PATH: &str = "/server";

/// The pages of it, with what each is called.
const PLACES: [(&str, &str); 6] = [
    (PATH, "Servers"),
    ("/server/plans", "Plans"),
    ("/server/users", "Users"),
    ("/server/numbers", "Numbers in dispute"),
    ("/server/audit", "Audit"),
    ("/refusals", "Refused calls"),
];

/// A page to go to.
struct Link {
    name: &'static str,
    path: &'static str,
    is_here: bool,
}

pub(super) fn pages() -> Vec<Page> {
    [nodes::pages(), plans::pages(), tenant::pages(), users::pages(), numbers::pages(), audit::pages()]
        .into_iter()
        .flatten()
        .collect()
}

fn links(visit: &Visit) -> Vec<Link> {
    let here = visit.path_below_root();
    PLACES.into_iter().map(|(path, name)| Link { name, path, is_here: here == path }).collect()
}
