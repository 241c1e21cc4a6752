//! `connect`: an Amazon Connect instance, and who we are to it.
//!
//! Invariant: whoever is given as who we are is given whole: a key has its secret, a role its external id.

use super::HTTP;
use super::section::Section;
use crate::secret::Secret;

/// An Amazon Connect instance, and who we are to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectSettings {
    /// `instance_arn`, as it was written; empty if it is missing, which has been told then.
    pub instance_arn: String,
    /// Who we are to it.
    pub credentials: ConnectCredentials,
    /// `endpoint_url`
    pub endpoint_url: Option<String>,
}

/// Who we are to an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectCredentials {
    /// A key of the tenant's account.
    Keys(AwsKey),
    /// A role of the tenant's account.
    Role {
        /// `role_arn`, as it was written.
        role_arn: String,
        /// `external_id`: what the role's trust policy expects of us.
        external_id: String,
        /// The key that assumes it; if there is none, that of the node.
        caller: Option<AwsKey>,
    },
}

/// An access key of AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsKey {
    /// `access_key_id`
    pub access_key_id: Secret,
    /// `secret_access_key`
    pub secret_access_key: Secret,
}

impl AwsKey {
    /// That of a section that must have one.
    pub fn read(section: &Section<'_>) -> Self {
        Self { access_key_id: section.secret("access_key_id"), secret_access_key: section.secret("secret_access_key") }
    }

    /// The same where it may be missing, but not half of it.
    pub fn read_optional(section: &Section<'_>) -> Option<Self> {
        // Both are asked for, so that both are known keys.
        let (id, secret) = (section.given("access_key_id"), section.given("secret_access_key"));
        (id.is_some() || secret.is_some()).then(|| Self::read(section))
    }
}

pub(super) fn read(section: &Section<'_>) -> ConnectSettings {
    let by_role = section.given("role_arn").is_some() || section.given("external_id").is_some();
    let settings = ConnectSettings {
        instance_arn: section.required_text("instance_arn"),
        credentials: if by_role { read_role(section) } else { ConnectCredentials::Keys(AwsKey::read(section)) },
        endpoint_url: section.url("endpoint_url", &HTTP),
    };
    section.finish();
    settings
}

fn read_role(section: &Section<'_>) -> ConnectCredentials {
    let (role_arn, external_id) = (section.required_text("role_arn"), section.required_text("external_id"));
    if !external_id.is_empty() && !is_external_id(&external_id) {
        let why = format!("`{external_id}` is not 2 to 1224 letters, digits and _ + = , . @ : / -");
        section.mistake("external_id", &why);
    }
    ConnectCredentials::Role { role_arn, external_id, caller: AwsKey::read_optional(section) }
}

/// What STS takes (AssumeRole, `ExternalId`).
fn is_external_id(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@:/-".contains(&b);
    (2..=1224).contains(&text.len()) && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::super::gathered::{Alone, Gathered};
    use super::super::json;
    use super::*;

    fn told(document: &str) -> (ConnectSettings, Vec<String>) {
        let (table, gathered) = (json::read(document).expect("JSON"), Gathered::new(&Alone));
        let settings = read(&Section::root(&table, &gathered));
        (settings, gathered.into_mistakes().iter().map(ToString::to_string).collect())
    }

    const ARN: &str = r#""instance_arn": "arn""#;

    #[test]
    fn a_key_or_a_role_says_who_we_are() {
        let (keys, mistakes) = told(&format!(r#"{{{ARN}, "access_key_id": "A", "secret_access_key": "s"}}"#));
        assert_eq!(mistakes, [""; 0]);
        assert!(matches!(keys.credentials, ConnectCredentials::Keys(key) if key.secret_access_key.expose() == "s"));
        let (role, mistakes) = told(&format!(r#"{{{ARN}, "role_arn": "r", "external_id": "bellhop-1"}}"#));
        assert_eq!(mistakes, [""; 0]);
        assert!(matches!(role.credentials, ConnectCredentials::Role { caller: None, .. }));
        let caller = r#""access_key_id": "A", "secret_access_key": "s""#;
        let (both, mistakes) = told(&format!(r#"{{{ARN}, "role_arn": "r", "external_id": "e:/1", {caller}}}"#));
        assert_eq!(mistakes, [""; 0]);
        assert!(matches!(both.credentials, ConnectCredentials::Role { caller: Some(_), .. }));
    }

    #[test]
    fn half_of_who_we_are_is_a_mistake() {
        for (more, mistake) in [
            (r#""role_arn": "r""#, "external_id: is missing"),
            (r#""external_id": "bellhop-1""#, "role_arn: is missing"),
            (r#""role_arn": "r", "external_id": "x""#, "external_id: `x` is not 2 to 1224"),
            (r#""role_arn": "r", "external_id": "a b""#, "external_id: `a b` is not 2 to 1224"),
            (r#""role_arn": "r", "external_id": "e1", "access_key_id": "A""#, "secret_access_key: is missing"),
            (r#""access_key_id": "A""#, "secret_access_key: is missing"),
        ] {
            let (_, mistakes) = told(&format!("{{{ARN}, {more}}}"));
            assert!(mistakes.len() == 1 && mistakes[0].starts_with(mistake), "{more}: {mistakes:?}");
        }
    }
}
