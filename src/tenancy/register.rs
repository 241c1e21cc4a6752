//! Every tenant by its name, for as long as it is served, has calls, or has to be shown a last time.
//!
//! Invariant: of one name there is one [`Tenant`] at a time: whoever changes, leaves or comes back has the count of the calls
//! that go on; a change that is refused changes no limit.

use std::collections::HashMap;
use std::sync::Arc;

use crate::tenant::{Limits, Tenant};

/// All tenants that somebody may have to do with.
#[derive(Debug, Default)]
pub struct Register(HashMap<String, Enrolled>);

#[derive(Debug)]
struct Enrolled {
    tenant: Arc<Tenant>,
    standing: Standing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Served,
    /// It is served no more, or not yet.
    Unserved {
        /// Whether what is measured of it has been shown since its last call ended.
        shown: bool,
    },
}

impl Register {
    /// The tenant of this name, for integrations that may be served soon. One that is served keeps its limits until
    /// [`Register::serve`].
    pub fn enrol(&mut self, name: &str, limits: Limits) -> Arc<Tenant> {
        let enrolled = self.0.entry(name.to_owned()).or_insert_with(|| Enrolled {
            tenant: Arc::new(Tenant::new(name, limits)),
            standing: Standing::Unserved { shown: false },
        });
        if enrolled.standing != Standing::Served {
            enrolled.tenant.change_limits(limits);
        }
        Arc::clone(&enrolled.tenant)
    }

    /// From now on these tenants are served, with these limits, and no others.
    pub fn serve<'a>(&mut self, all: impl IntoIterator<Item = (&'a str, Limits)>) {
        let mut served: HashMap<&str, Limits> = all.into_iter().collect();
        for (name, enrolled) in &mut self.0 {
            match served.remove(name.as_str()) {
                Some(limits) => {
                    enrolled.tenant.change_limits(limits);
                    enrolled.standing = Standing::Served;
                }
                None if enrolled.standing == Standing::Served => {
                    enrolled.standing = Standing::Unserved { shown: false };
                }
                None => {}
            }
        }
        let enrolled = |(name, limits): (&str, Limits)| {
            let tenant = Arc::new(Tenant::new(name, limits));
            (name.to_owned(), Enrolled { tenant, standing: Standing::Served })
        };
        self.0.extend(served.into_iter().map(enrolled));
    }

    /// Something is measured of one that is not served: it is to be shown a last time.
    pub fn note_unserved(&mut self, name: &str) {
        self.enrol(name, Limits { calls: 0, calls_per_second: None });
    }

    /// To be called whenever what is measured has been shown: forgets those who were over the time before. `is_known` tells of
    /// whom something is shown for another reason.
    pub fn settle(&mut self, is_known: impl Fn(&str) -> bool, mut forget: impl FnMut(&str)) {
        self.0.retain(|name, enrolled| {
            let Standing::Unserved { shown } = enrolled.standing else { return true };
            let over = enrolled.tenant.calls.taken() == 0;
            if over && shown && !is_known(name) {
                forget(name);
            }
            enrolled.standing = Standing::Unserved { shown: over };
            !(over && shown)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: Limits = Limits { calls: 2, calls_per_second: None };
    const THREE: Limits = Limits { calls: 3, calls_per_second: Some(1) };

    /// What is forgotten when what is measured has been shown.
    fn forgotten(register: &mut Register, is_known: bool) -> Vec<String> {
        let mut all = vec![];
        register.settle(|_| is_known, |name| all.push(name.to_owned()));
        all
    }

    #[test]
    fn what_is_measured_of_a_tenant_is_shown_once_more_after_its_last_call() {
        let mut register = Register::default();
        let acme = register.enrol("acme", TWO);
        register.serve([("acme", TWO)]);
        let permit = acme.calls.acquire().expect("a place");
        assert_eq!(forgotten(&mut register, false), [""; 0], "it is served");
        register.serve([]);
        for _ in 0..3 {
            assert_eq!(forgotten(&mut register, false), [""; 0], "it has a call");
        }
        drop(permit);
        assert_eq!(forgotten(&mut register, false), [""; 0], "this reading shows how it ended");
        assert_eq!(forgotten(&mut register, false), ["acme"]);
        assert_eq!(forgotten(&mut register, false), [""; 0], "once");
        assert!(!Arc::ptr_eq(&acme, &register.enrol("acme", TWO)), "it is another one then");
    }

    #[test]
    fn a_tenant_that_comes_back_has_the_count_of_the_calls_it_has() {
        let mut register = Register::default();
        let acme = register.enrol("acme", TWO);
        register.serve([("acme", TWO)]);
        let _permit = acme.calls.acquire().expect("a place");
        register.serve([]);
        register.note_unserved("acme");
        assert_eq!(forgotten(&mut register, false), [""; 0]);
        let back = register.enrol("acme", THREE);
        assert!(Arc::ptr_eq(&acme, &back), "there is one");
        assert_eq!((back.calls.taken(), back.calls.limit()), (1, 3), "its limit is there before its first call");
        register.serve([("acme", THREE)]);
        for _ in 0..3 {
            assert_eq!(forgotten(&mut register, true), [""; 0]);
        }
        assert!(Arc::ptr_eq(&acme, &register.enrol("acme", TWO)));
    }

    #[test]
    fn a_change_that_is_refused_changes_no_limit() {
        let mut register = Register::default();
        register.serve([("acme", TWO)]);
        let acme = register.enrol("acme", THREE);
        assert_eq!(acme.calls.limit(), 2, "it may be refused yet");
        register.serve([("acme", TWO)]);
        assert_eq!(acme.calls.limit(), 2);
        register.serve([("acme", THREE)]);
        assert_eq!(acme.calls.limit(), 3);
    }

    #[test]
    fn what_is_shown_for_another_reason_is_kept() {
        let mut register = Register::default();
        register.note_unserved("bad");
        for _ in 0..3 {
            assert_eq!(forgotten(&mut register, true), [""; 0], "a tenant of that name has mistakes");
        }
    }
}
