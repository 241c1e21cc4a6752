//! From the dialled number to the tenant.

use std::collections::HashMap;
use std::sync::Arc;

use crate::number::Number;
use crate::tenant::Tenant;

/// All tenants by their numbers.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    tenants: Vec<Arc<Tenant>>,
    by_number: HashMap<Number, usize>,
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

impl Directory {
    /// A directory of tenants whose numbers are all different.
    pub fn new(tenants: Vec<Tenant>) -> Result<Self, NumberTaken> {
        let mut directory = Self::default();
        for tenant in tenants {
            let index = directory.tenants.len();
            for number in &tenant.numbers {
                if let Some(first) = directory.by_number.insert(number.clone(), index) {
                    return Err(NumberTaken {
                        number: number.e164(),
                        first: directory.tenants.get(first).map_or(&tenant.name, |t| &t.name).clone(),
                        second: tenant.name,
                    });
                }
            }
            directory.tenants.push(Arc::new(tenant));
        }
        Ok(directory)
    }

    /// The tenant of a dialled number, as it stands in a Request-URI or To header.
    pub fn route(&self, dialled: &str) -> Option<&Arc<Tenant>> {
        let index = self.by_number.get(&Number::parse(dialled).ok()?)?;
        self.tenants.get(*index)
    }

    /// All tenants.
    pub fn tenants(&self) -> &[Arc<Tenant>] {
        &self.tenants
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenant::tests::tenant;

    #[test]
    fn a_number_leads_to_its_tenant_however_it_is_written() {
        let directory =
            Directory::new(vec![tenant("a", &["+18005550123"]), tenant("b", &["+1 800 555 0199"])]).expect("good");
        assert_eq!(directory.route("18005550199").map(|t| t.name.as_str()), Some("b"));
        assert!(directory.route("+18005550100").is_none() && directory.route("anonymous").is_none());
    }

    #[test]
    fn no_number_has_two_owners() {
        let taken = Directory::new(vec![tenant("a", &["+18005550123"]), tenant("b", &["1-800-555-0123"])]);
        let expected = NumberTaken { number: "+18005550123".into(), first: "a".into(), second: "b".into() };
        assert_eq!(taken.expect_err("taken"), expected);
    }
}
