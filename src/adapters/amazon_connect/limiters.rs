//! The rate limiters of this process.
//!
//! Invariant: tenants of one account and Region share one, as they share Amazon's throttle.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bellhop_connect::InstanceArn;
use bellhop_connect::rate_limiter::RateLimiter;

/// The rate limiters of this process, one per account and Region.
#[derive(Debug, Clone, Default)]
pub struct Limiters(Arc<Mutex<HashMap<AccountAndRegion, Arc<Mutex<RateLimiter>>>>>);

type AccountAndRegion = (String, String);

impl Limiters {
    /// The limiter that all tenants of this account and Region share.
    pub(crate) fn of(&self, instance: &InstanceArn) -> Arc<Mutex<RateLimiter>> {
        let key = (instance.account.clone(), instance.region.clone());
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(key).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_one_limiter_in_a_region() {
        let limiters = Limiters::default();
        let of = |arn: &str| limiters.of(&arn.parse().expect("an ARN"));
        let one = of("arn:aws:connect:eu-west-2:111122223333:instance/abc");
        assert!(Arc::ptr_eq(&one, &of("arn:aws:connect:eu-west-2:111122223333:instance/other")));
        assert!(!Arc::ptr_eq(&one, &of("arn:aws:connect:eu-west-1:111122223333:instance/abc")));
        assert!(!Arc::ptr_eq(&one, &of("arn:aws:connect:eu-west-2:111122223334:instance/abc")));
    }
}
