//! Plans: what a tenant may have, by a name.
//!
//! Invariant: a plan without contact center hands no call over to Amazon Connect: whoever saves an integration, or puts a
//! tenant on another plan, asks [`Plan::judge`] first.

use crate::settings::{Mistake, TenantSettings};
use crate::tenant::{CALLS_MAX, CALLS_PER_SECOND_MAX, Limits, why_no_name};

/// What a tenant may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Its name, of the letters that names of tenants are of.
    pub name: String,
    /// Calls at once, of all integrations together.
    pub calls: u32,
    /// Calls that may begin in a second; none for any number.
    pub calls_per_second: Option<u32>,
    /// Whether calls may be handed over to Amazon Connect.
    pub contact_center: bool,
}

impl Plan {
    /// Those that Bellhop brings: `trial`, `plus` and `enterprise`.
    pub fn built_in() -> [Self; 3] {
        [("trial", 5, false), ("plus", 100, true), ("enterprise", 1_000, true)].map(|(name, calls, contact_center)| {
            Self { name: name.to_owned(), calls, calls_per_second: None, contact_center }
        })
    }

    /// Every mistake in a plan of one's own.
    pub fn mistakes(&self) -> Vec<Mistake> {
        let mut mistakes = vec![];
        let name = &self.name;
        if let Some(why) = why_no_name(name) {
            mistakes.push(Mistake::of_value("name", why));
        } else if Self::built_in().iter().any(|plan| plan.name.eq_ignore_ascii_case(name)) {
            mistakes
                .push(Mistake::of_value("name", format!("`{name}` is a plan that Bellhop brings: take another name")));
        }
        let mut bounded = |key: &str, number: Option<u32>, max: u32| {
            if let Some(number) = number.filter(|number| !(1..=max).contains(number)) {
                mistakes.push(Mistake::of_value(key, format!("{number} is not between 1 and {max}")));
            }
        };
        bounded("calls", Some(self.calls), CALLS_MAX);
        bounded("calls_per_second", self.calls_per_second, CALLS_PER_SECOND_MAX);
        mistakes
    }

    /// Why an integration is not served under this plan.
    pub fn judge(&self, settings: &TenantSettings) -> Result<(), Mistake> {
        if self.contact_center || settings.connect.is_none() {
            return Ok(());
        }
        let why = format!(
            "the plan `{}` has no contact center: leave the section out, or have the tenant put on a plan that has one, like `plus`",
            self.name
        );
        Err(Mistake::of_value("connect", why))
    }

    /// What a tenant of this plan may have.
    pub fn limits(&self) -> Limits {
        let calls = usize::try_from(self.calls).unwrap_or(usize::MAX);
        Limits { calls, calls_per_second: self.calls_per_second }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Alone, Reading, json};

    fn own(name: &str, calls: u32, calls_per_second: Option<u32>) -> Plan {
        Plan { name: name.to_owned(), calls, calls_per_second, contact_center: true }
    }

    #[test]
    fn own_plans_have_bounds_and_names_of_their_own() {
        let paths = |plan: Plan| plan.mistakes().into_iter().map(|mistake| mistake.path).collect::<Vec<_>>();
        assert_eq!(paths(own("call-center_9", 100_000, Some(1_000))), [""; 0]);
        assert_eq!(paths(own("", 0, Some(0))), ["name", "calls", "calls_per_second"]);
        assert_eq!(paths(own("a b", 100_001, Some(1_001))), ["name", "calls", "calls_per_second"]);
        assert_eq!(paths(own(&"x".repeat(65), 1, None)), ["name"]);
        assert_eq!(paths(own("Plus", 7, None)), ["name"], "case does not make it another");
        let why = &own("gold", 0, None).mistakes()[0];
        assert_eq!(why.to_string(), "calls: 0 is not between 1 and 100000");
    }

    #[test]
    fn a_plan_without_contact_center_has_no_hand_off() {
        let settings = |connect: &str| {
            let document = format!(
                r#"{{"name": "acme", "numbers": ["+18005550123"], {connect} "text_to_speech": {{"kind": "flite"}},
                "assistant": {{"kind": "scripted", "script": "a.yaml"}}, "speech_to_text": {{"kind": "counting"}}}}"#
            );
            let read = Reading::of(&json::read(&document).expect("JSON"), &Alone);
            assert_eq!(read.mistakes, []);
            read.settings
        };
        let with = settings(r#""connect": {"instance_arn": "arn", "access_key_id": "k", "secret_access_key": "s"},"#);
        let [trial, plus, enterprise] = Plan::built_in();
        assert_eq!([&trial, &plus, &enterprise].map(|plan| plan.limits().calls), [5, 100, 1_000]);
        assert_eq!([&plus, &enterprise].map(|plan| plan.judge(&with)), [Ok(()), Ok(())]);
        assert_eq!(trial.judge(&settings("")), Ok(()));
        let why = trial.judge(&with).expect_err("no contact center").to_string();
        assert!(why.starts_with("connect: the plan `trial` has no contact center"), "{why}");
    }
}
