//! A connection to an Amazon Connect instance: which instance, who we are to it, and by which endpoint.
//!
//! Invariant: a connection prints no secret; its fingerprint changes with every field, and tells nothing of any to who does
//! not know the salt. Spoken over by `src/adapters/amazon_connect/`; what a test of it means: `connection_test.rs`.

use std::fmt;

use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::arn::{InstanceArn, RoleArn};

/// All that a client of an instance needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// The instance; its Region is where requests go.
    pub instance: InstanceArn,
    /// Who signs.
    pub identity: Identity,
    /// In place of the Region's public endpoint.
    pub endpoint_url: Option<String>,
    /// Whether that may be on a private network or on this machine.
    pub private_networks: bool,
}

/// Who we are to an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// A key of the tenant's account.
    Key(AccessKey),
    /// A role of the tenant's account, assumed with a key of ours.
    Role(AssumedRole),
}

/// An access key.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKey {
    /// Its id.
    pub id: String,
    /// Its secret.
    pub secret: String,
}

/// A role, and how it is assumed (STS AssumeRole).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssumedRole {
    /// The role.
    pub arn: RoleArn,
    /// What its trust policy expects to hear: ours to choose, and another one for every tenant, so that nobody can have us
    /// act on somebody else's role (the confused deputy).
    pub external_id: String,
    /// What the tenant's CloudTrail calls us.
    pub session_name: String,
    /// Who assumes it.
    pub caller: AccessKey,
    /// The Region of STS, if it is not the instance's.
    pub sts_region: Option<String>,
    /// In place of that Region's public endpoint of STS.
    pub sts_endpoint_url: Option<String>,
}

/// The longest RoleSessionName that STS takes.
const SESSION_NAME_MAX: usize = 64;

/// The RoleSessionName of a tenant: `bellhop-` and its name, of characters that STS takes.
pub fn session_name(tenant: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "_+=,.@-".contains(c) { c } else { '-' };
    "bellhop-".chars().chain(tenant.chars().map(plain)).take(SESSION_NAME_MAX).collect()
}

impl Connection {
    /// What the result of a test is bound to: 64 hexadecimal digits that change with every field, secrets included. `salt` is
    /// the caller's: random, so that a short secret cannot be guessed from what is kept.
    pub fn fingerprint(&self, salt: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(salt).expect("HMAC takes keys of any length");
        for field in self.fields() {
            // Each with its length: what moves from one field to the next is another connection.
            match field {
                None => mac.update(b"-"),
                Some(text) => {
                    mac.update(b"+");
                    mac.update(&(text.len() as u64).to_be_bytes());
                    mac.update(text.as_bytes());
                }
            }
        }
        mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Every field, in an order that does not change.
    fn fields(&self) -> Vec<Option<String>> {
        let Self { instance, identity, endpoint_url, private_networks } = self;
        let near = private_networks.then(|| "private networks".to_owned());
        let mut fields = vec![Some(instance.to_string()), endpoint_url.clone(), near];
        match identity {
            Identity::Key(AccessKey { id, secret }) => {
                fields.extend(["key", id, secret].map(|text| Some(text.to_owned())));
            }
            Identity::Role(AssumedRole { arn, external_id, session_name, caller, sts_region, sts_endpoint_url }) => {
                let always = ["role", arn.as_str(), external_id, session_name, &caller.id, &caller.secret];
                fields.extend(always.map(|text| Some(text.to_owned())));
                fields.extend([sts_region.clone(), sts_endpoint_url.clone()]);
            }
        }
        fields
    }
}

impl AssumedRole {
    /// The Region whose STS is asked.
    pub fn region<'a>(&'a self, instance: &'a InstanceArn) -> &'a str {
        self.sts_region.as_deref().unwrap_or(&instance.region)
    }
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessKey(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str, secret: &str) -> AccessKey {
        AccessKey { id: id.to_owned(), secret: secret.to_owned() }
    }

    fn with(identity: Identity) -> Connection {
        let instance = "arn:aws:connect:eu-west-2:111122223333:instance/abc".parse().expect("an ARN");
        Connection { instance, identity, endpoint_url: None, private_networks: false }
    }

    fn role() -> AssumedRole {
        AssumedRole {
            arn: "arn:aws:iam::111122223333:role/bellhop".parse().expect("an ARN"),
            external_id: "external".to_owned(),
            session_name: session_name("acme"),
            caller: key("AKIAOURS", "s3cret"),
            sts_region: None,
            sts_endpoint_url: None,
        }
    }

    #[test]
    fn every_field_changes_the_fingerprint_and_nothing_else_does() {
        let by_role = |change: fn(&mut AssumedRole)| {
            let mut role = role();
            change(&mut role);
            with(Identity::Role(role))
        };
        let elsewhere = |arn: &str| Connection {
            instance: arn.parse().expect("an ARN"),
            ..with(Identity::Key(key("AKIA", "secret")))
        };
        let all = [
            with(Identity::Key(key("AKIA", "secret"))),
            with(Identity::Key(key("AKIB", "secret"))),
            with(Identity::Key(key("AKIA", "secreT"))),
            // The same letters, cut elsewhere.
            with(Identity::Key(key("AKIAs", "ecret"))),
            Connection { endpoint_url: Some("http://x".to_owned()), ..with(Identity::Key(key("AKIA", "secret"))) },
            Connection { private_networks: true, ..with(Identity::Key(key("AKIA", "secret"))) },
            elsewhere("arn:aws:connect:eu-west-1:111122223333:instance/abc"),
            elsewhere("arn:aws:connect:eu-west-2:111122223334:instance/abc"),
            elsewhere("arn:aws:connect:eu-west-2:111122223333:instance/abd"),
            elsewhere("arn:aws-cn:connect:eu-west-2:111122223333:instance/abc"),
            by_role(|_| ()),
            by_role(|role| role.arn = "arn:aws:iam::111122223333:role/other".parse().expect("an ARN")),
            by_role(|role| role.external_id.push('2')),
            by_role(|role| role.session_name.push('2')),
            by_role(|role| role.caller.id.push('2')),
            by_role(|role| role.caller.secret.push('2')),
            by_role(|role| role.sts_region = Some("eu-west-1".to_owned())),
            by_role(|role| role.sts_endpoint_url = Some("eu-west-1".to_owned())),
        ];
        let prints: std::collections::BTreeSet<String> = all.iter().map(|one| one.fingerprint(b"salt")).collect();
        assert_eq!(prints.len(), all.len(), "no two are the same");
        assert_eq!(all[0].fingerprint(b"salt"), all[0].clone().fingerprint(b"salt"));
        assert_ne!(all[0].fingerprint(b"salt"), all[0].fingerprint(b"tlas"), "the salt counts");
        assert!(prints.iter().all(|print| print.len() == 64 && print.bytes().all(|b| b.is_ascii_hexdigit())));
    }

    #[test]
    fn a_connection_prints_no_secret() {
        for connection in [with(Identity::Key(key("AKIAOURS", "s3cret"))), with(Identity::Role(role()))] {
            let printed = format!("{connection:?}");
            assert!(!printed.contains("s3cret") && !printed.contains("AKIAOURS"), "{printed}");
        }
    }

    #[test]
    fn a_session_has_a_name_that_sts_takes() {
        assert_eq!(session_name("acme_1"), "bellhop-acme_1");
        assert_eq!(session_name("a b/ü"), "bellhop-a-b--");
        assert_eq!(session_name(&"x".repeat(64)).len(), SESSION_NAME_MAX);
    }
}
