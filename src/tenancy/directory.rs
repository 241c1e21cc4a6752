//! From the dialled number to the tenant, and to all that serves it.
//!
//! Invariant: a directory is never changed: a newer one takes its place ([`crate::succession`]), and whoever found something
//! here keeps it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::integration::Integration;
use crate::number::Number;

/// All tenants by their numbers. `S` is what one look-up gives: the tenant with its services.
#[derive(Debug)]
pub struct Directory<S> {
    all: Vec<Arc<S>>,
    by_number: HashMap<Number, usize>,
    by_name: HashMap<String, usize>,
}

/// Two tenants claim one number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("number {number} belongs to tenant `{first}` already and cannot belong to `{second}` too")]
pub struct NumberTaken {
    /// The number.
    pub number: String,
    /// Who has it.
    pub first: String,
    /// Who wants it too.
    pub second: String,
}

impl<S> Default for Directory<S> {
    fn default() -> Self {
        Self { all: vec![], by_number: HashMap::new(), by_name: HashMap::new() }
    }
}

impl<S: AsRef<Integration>> Directory<S> {
    /// A directory of tenants whose numbers are all different.
    pub fn new(all: impl IntoIterator<Item = Arc<S>>) -> Result<Self, NumberTaken> {
        let mut directory = Self::default();
        for one in all {
            let (tenant, index) = ((*one).as_ref(), directory.all.len());
            for number in &tenant.numbers {
                if let Some(first) = directory.by_number.insert(number.clone(), index) {
                    let first = directory.all.get(first).map_or(tenant, |first| (**first).as_ref());
                    let (first, second) = (first.name.clone(), tenant.name.clone());
                    return Err(NumberTaken { number: number.e164(), first, second });
                }
            }
            directory.by_name.insert(tenant.name.clone(), index);
            directory.all.push(one);
        }
        Ok(directory)
    }

    /// What serves a dialled number, as it stands in a Request-URI or To header.
    pub fn route(&self, dialled: &str) -> Option<&Arc<S>> {
        self.all.get(*self.by_number.get(&Number::parse(dialled).ok()?)?)
    }

    /// What serves the tenant of this name.
    pub fn find(&self, name: &str) -> Option<&Arc<S>> {
        self.all.get(*self.by_name.get(name)?)
    }

    /// Everybody.
    pub fn all(&self) -> &[Arc<S>] {
        &self.all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::integration::tests::integration;

    fn directory(tenants: Vec<Integration>) -> Result<Directory<Integration>, NumberTaken> {
        Directory::new(tenants.into_iter().map(Arc::new))
    }

    #[test]
    fn a_number_leads_to_its_tenant_however_it_is_written() {
        let directory =
            directory(vec![integration("a", &["+18005550123"]), integration("b", &["+1 800 555 0199"])]).expect("good");
        assert_eq!(directory.route("18005550199").map(|t| t.name.as_str()), Some("b"));
        assert!(directory.route("+18005550100").is_none() && directory.route("anonymous").is_none());
        assert!(directory.find("a").is_some() && directory.find("c").is_none());
    }

    #[test]
    fn no_number_has_two_owners() {
        let taken = directory(vec![integration("a", &["+18005550123"]), integration("b", &["1-800-555-0123"])]);
        let expected = NumberTaken { number: "+18005550123".into(), first: "a".into(), second: "b".into() };
        assert_eq!(taken.expect_err("taken"), expected);
    }
}
