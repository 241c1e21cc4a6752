//! The ARNs we are told: of a Connect instance, `arn:aws:connect:<region>:<account>:instance/<id>`, and of a role that may
//! be assumed for it, `arn:aws:iam::<account>:role/<path and name>`.
//!
//! Invariant: what has parsed prints as what was given, without what may stand behind an instance's id.

use std::fmt;
use std::str::FromStr;

/// An instance, with the Region and account its name carries.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct InstanceArn {
    /// `aws`, `aws-us-gov`, `aws-cn`, …
    pub(crate) partition: String,
    /// For example `eu-west-2`.
    pub region: String,
    /// Twelve digits.
    pub account: String,
    /// 1 to 100 characters, usually a UUID.
    pub instance_id: String,
}

/// What is wrong with an ARN.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an instance ARN: expected arn:aws:connect:REGION:ACCOUNT:instance/ID")]
pub struct MalformedArn {
    text: String,
}

impl FromStr for InstanceArn {
    type Err = MalformedArn;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = || MalformedArn { text: text.to_owned() };
        let pieces: Vec<&str> = text.trim().splitn(6, ':').collect();
        let ["arn", partition, "connect", region, account, resource] = pieces[..] else { return Err(malformed()) };
        let id = resource.strip_prefix("instance/").ok_or_else(malformed)?;
        let id = id.split('/').next().unwrap_or_default();
        let plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let good = partition.starts_with("aws")
            && !region.is_empty()
            && plain(region)
            && account.len() == 12
            && account.bytes().all(|b| b.is_ascii_digit())
            && (1..=100).contains(&id.len())
            && plain(id);
        if !good {
            return Err(malformed());
        }
        Ok(Self { partition: partition.into(), region: region.into(), account: account.into(), instance_id: id.into() })
    }
}

impl InstanceArn {
    /// Its name without what it is the same for: `account/region/instance`, in lower case.
    pub fn key(&self) -> String {
        format!("{}/{}/{}", self.account, self.region, self.instance_id).to_ascii_lowercase()
    }
}

impl fmt::Display for InstanceArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partition, region, account, instance_id } = self;
        write!(f, "arn:{partition}:connect:{region}:{account}:instance/{instance_id}")
    }
}

/// A role of an AWS account.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RoleArn(String);

/// What is wrong with a role's ARN.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not the ARN of a role: expected arn:aws:iam::ACCOUNT:role/NAME")]
pub struct MalformedRoleArn {
    text: String,
}

/// The longest ARN that STS takes (AssumeRole, `RoleArn`).
const ROLE_ARN_MAX: usize = 2048;

impl RoleArn {
    /// The whole ARN.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RoleArn {
    type Err = MalformedRoleArn;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = || MalformedRoleArn { text: text.to_owned() };
        let text = text.trim();
        let pieces: Vec<&str> = text.splitn(6, ':').collect();
        let ["arn", partition, "iam", "", account, resource] = pieces[..] else { return Err(malformed()) };
        let name = resource.strip_prefix("role/").ok_or_else(malformed)?;
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@-/".contains(&b);
        let good = partition.starts_with("aws")
            && partition.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
            && account.len() == 12
            && account.bytes().all(|b| b.is_ascii_digit())
            && !name.is_empty()
            && !name.ends_with('/')
            && name.bytes().all(plain)
            && text.len() <= ROLE_ARN_MAX;
        if good { Ok(Self(text.to_owned())) } else { Err(malformed()) }
    }
}

impl fmt::Display for RoleArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_has_an_account_and_a_name() {
        for text in ["arn:aws:iam::111122223333:role/bellhop", "arn:aws-us-gov:iam::111122223333:role/a/b/phone+1"] {
            assert_eq!(text.parse::<RoleArn>().expect(text).to_string(), text);
        }
        for text in [
            "",
            "bellhop",
            "arn:aws:iam::111122223333:user/bellhop",
            "arn:aws:iam::111122223333:role/",
            "arn:aws:iam::111122223333:role/a/",
            "arn:aws:iam::111122223333:role/a b",
            "arn:aws:iam::1111:role/a",
            "arn:aws:iam:eu-west-2:111122223333:role/a",
            "arn:aws:sts::111122223333:assumed-role/a/b",
        ] {
            assert!(text.parse::<RoleArn>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_arn_tells_region_account_and_instance() {
        let text = "arn:aws:connect:eu-west-2:111122223333:instance/0123-abc";
        let arn: InstanceArn = text.parse().expect("good");
        assert_eq!(
            (arn.region.as_str(), arn.account.as_str(), arn.instance_id.as_str()),
            ("eu-west-2", "111122223333", "0123-abc")
        );
        assert_eq!((arn.to_string().as_str(), arn.key().as_str()), (text, "111122223333/eu-west-2/0123-abc"));
        let loud: InstanceArn = text.replace("0123-abc", "0123-ABC").parse().expect("good");
        assert_eq!(loud.key(), arn.key(), "nobody has it twice by writing it otherwise");
    }

    #[test]
    fn what_is_no_instance_arn_is_refused() {
        for text in [
            "",
            "arn:aws:s3:::bucket",
            "arn:aws:connect:eu-west-2:1111:instance/x",
            "arn:aws:connect::111122223333:instance/x",
            "arn:aws:connect:eu-west-2:111122223333:queue/x",
            "arn:aws:connect:eu-west-2:111122223333:instance/",
        ] {
            assert!(text.parse::<InstanceArn>().is_err(), "{text}");
        }
    }
}
