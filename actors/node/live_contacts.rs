//! One live call per contact: whoever comes second with a contact's id, while the first is up, gets no hold of it.
//!
//! Invariant: a claim given is returned exactly once, by being dropped: with the call's teardown plan, before its last word
//! is sent, so that the contact flow can transfer the same contact again.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bellhop_connect::InstanceArn;

/// The contacts of all calls that are up; clones share them.
#[derive(Debug, Clone, Default)]
pub struct LiveContacts(Arc<Mutex<HashSet<String>>>);

/// A call's hold of its contact.
pub struct ContactClaim {
    of: LiveContacts,
    contact: String,
}

impl LiveContacts {
    /// Claims a contact of an instance; `None` while another call has it.
    pub fn claim(&self, instance: &InstanceArn, contact_id: &str) -> Option<ContactClaim> {
        // An id is a UUID, whose letters have no case.
        let contact = format!("{instance}/contact/{}", contact_id.to_ascii_lowercase());
        let fresh = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(contact.clone());
        fresh.then(|| ContactClaim { of: self.clone(), contact })
    }
}

impl Drop for ContactClaim {
    fn drop(&mut self) {
        self.of.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.contact);
    }
}

impl fmt::Debug for ContactClaim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ContactClaim")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_is_one_calls_at_a_time() {
        let instance =
            |id: &str| format!("arn:aws:connect:eu-west-2:111122223333:instance/{id}").parse().expect("good");
        let contacts = LiveContacts::default();
        let first = contacts.claim(&instance("a"), "C1").expect("free");
        assert!(contacts.claim(&instance("a"), "c1").is_none(), "the same contact");
        assert!(contacts.claim(&instance("b"), "c1").is_some(), "another instance's");
        drop(first);
        assert!(contacts.claim(&instance("a"), "c1").is_some());
    }
}
