//! Where what goes wrong is mended: from a word of `crate::errors` to the page that has its field.
//!
//! Invariant: a link leads to a page of the table, and to things of the tenant that it is shown to.

use std::collections::BTreeMap;

use serde_json::Value;

use super::answered::{list_of, text};
use super::visit::Visit;
use crate::problem::Problem;

/// A link: what it is called, and its path below the root.
pub(super) type Link = (&'static str, String);

/// Which page has the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The numbers of an integration.
    Numbers,
    /// The Amazon side of an integration.
    Amazon,
    /// The settings of an integration.
    Settings,
    /// Which assistant and services an integration uses.
    Services,
    /// The tenant's assistants.
    Assistants,
    /// How many calls there were at once, and how many may be.
    Dashboard,
    /// The server's own configuration, which no page shows.
    Server,
}

impl Place {
    /// Where a refused call is mended.
    fn of_refusal(word: &str) -> Self {
        match word {
            "several_owners" => Self::Numbers,
            "other_instance" => Self::Amazon,
            "not_from_there" | "other_server_name" | "login_needs_tls" | "wrong_login" | "key_in_the_clear"
            | "not_acceptable" => Self::Settings,
            "tenant_full" | "tenant_too_fast" | "too_many_turned_away" => Self::Dashboard,
            _ => Self::Server,
        }
    }

    /// Where a call is mended that broke off.
    fn of_failure(word: &str) -> Self {
        match word {
            "assistant_lost" => Self::Assistants,
            "handoff_refused" | "handoff_impossible" | "handoff_uncertain" | "refused_foreign_instance" => Self::Amazon,
            "recognizer_lost" | "synthesizer_lost" => Self::Services,
            "no_media" | "transfer_failed" | "refused_not_acceptable" => Self::Settings,
            "refused_unknown_number" => Self::Numbers,
            "refused_quota" | "refused_rate" => Self::Dashboard,
            _ => Self::Server,
        }
    }
}

/// The integrations of a tenant by their numbers.
pub(super) struct Mending {
    tenant: String,
    integrations: BTreeMap<String, Value>,
}

impl Mending {
    /// Of the first numbers of a tenant; what has a number that is not among them leads to the integrations.
    pub(super) async fn of(visit: &Visit, tenant: &str) -> Result<Self, Problem> {
        let numbers = visit.get(format!("/numbers?tenant={tenant}&limit=200")).await?;
        let known = visit.get(format!("/integrations?tenant={tenant}&limit=200")).await?;
        let known: BTreeMap<String, &Value> = list_of(&known).iter().map(|one| (text(one, "id"), one)).collect();
        let of = |number: &Value| {
            let integration = known.get(&text(number, "integration"))?;
            Some((text(number, "number"), (*integration).clone()))
        };
        Ok(Self { tenant: tenant.to_owned(), integrations: list_of(&numbers).iter().filter_map(of).collect() })
    }

    /// Where the cause of a refused call is mended.
    pub(super) fn refusal(&self, word: &str, number: &str) -> Option<Link> {
        self.link(Place::of_refusal(word), number)
    }

    /// Where the cause of a call is mended that broke off.
    pub(super) fn failure(&self, word: &str, number: &str) -> Option<Link> {
        self.link(Place::of_failure(word), number)
    }

    fn link(&self, place: Place, number: &str) -> Option<Link> {
        let tenant = format!("/tenants/{}", self.tenant);
        let all = || ("The integrations", format!("{tenant}/integrations"));
        // A call of the record tells its number as it was dialled.
        let number = if number.starts_with('+') { number.to_owned() } else { format!("+{number}") };
        let integration = self.integrations.get(&number);
        let of = |page: &str| integration.map(|one| format!("{tenant}/integrations/{}/{page}", text(one, "id")));
        let is_connect = integration.is_some_and(|one| one["settings"]["connect"].is_object());
        Some(match place {
            Place::Server => return None,
            Place::Dashboard => ("Calls at once, and the plan", tenant),
            Place::Assistants => ("The assistants", format!("{tenant}/assistants")),
            Place::Numbers => of("numbers").map_or_else(all, |path| ("The number", path)),
            Place::Amazon if is_connect => of("amazon").map_or_else(all, |path| ("The Amazon side", path)),
            Place::Amazon => all(),
            Place::Settings => of("settings").map_or_else(all, |path| ("The settings", path)),
            Place::Services => of("settings/services").map_or_else(all, |path| ("Assistant and speech", path)),
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::errors::{ENDED, REFUSED};

    /// A word that is misspelt here would lead nowhere.
    #[test]
    fn what_is_mended_is_what_goes_wrong() {
        let source = include_str!("mend.rs");
        let (of_refusals, rest) = source.split_once("fn of_failure").expect("both are there");
        let of_failures = rest.split_once("/// The integrations of a tenant").expect("it ends").0;
        let of_refusals = of_refusals.split_once("fn of_refusal").expect("it begins").1;
        for (text, kind) in [(of_refusals, REFUSED), (of_failures, ENDED)] {
            let words: Vec<&str> = text.split('"').skip(1).step_by(2).collect();
            assert!(words.len() >= 9, "{words:?}");
            for word in words {
                assert!(kind.entry(word).is_some(), "{word}");
            }
        }
    }
}
