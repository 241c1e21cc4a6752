//! What a test of a connection found, and what each answer of Amazon's means for it.
//!
//! A test asks for what a hand-off needs: UpdateContactAttributes on a contact that cannot exist. That it is not found says
//! that it would have been allowed, and nothing is written. Then DescribeInstance, as a courtesy: the least a tenant has to
//! allow is the first. Amazon answers 404 both for a contact and for an instance that it does not know, so without leave to
//! describe the instance nobody can tell; the report says so. Invariant: only an answer that says *allowed* makes a
//! connection valid, and no sentence of a report repeats a message of Amazon's, which may hold what was sent. Driver:
//! `src/adapters/amazon_connect/tester.rs`.

mod cause;

use std::fmt;
use std::time::Duration;

use crate::connection::{Connection, Identity};
pub use cause::{Cause, Unreached};

/// What a test found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionReport {
    /// Whether hand-offs would be let through.
    pub outcome: Outcome,
    /// Where agents open the instance (`InstanceAccessUrl` of DescribeInstance), if it was told.
    pub access_url: Option<String>,
    /// What was asked, in order.
    pub requests: Vec<Request>,
}

/// Whether hand-offs would be let through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// They would.
    Valid {
        /// What is known of the instance beyond that.
        instance: InstanceSeen,
    },
    /// They would not.
    Invalid {
        /// What was asked for then.
        action: Action,
        /// Why not.
        cause: Cause,
    },
}

/// What is known of an instance on which attributes may be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InstanceSeen {
    /// It is there, and active.
    Active,
    /// We may not describe it: whether it is there cannot be known.
    NotAllowed,
    /// The question came to nothing for another reason.
    NotAnswered(Cause),
}

/// A request of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What was asked for.
    pub action: Action,
    /// What came, in two words: status and code.
    pub answered: String,
    /// How long that took.
    pub took: Duration,
}

/// What a test asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// STS: becomes the tenant's role.
    AssumeRole,
    /// What a hand-off does.
    UpdateContactAttributes,
    /// Whether the instance is there.
    DescribeInstance,
}

impl Action {
    /// The action as policies name it.
    pub fn in_policies(self) -> &'static str {
        match self {
            Self::AssumeRole => "sts:AssumeRole",
            Self::UpdateContactAttributes => "connect:UpdateContactAttributes",
            Self::DescribeInstance => "connect:DescribeInstance",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let policy = self.in_policies();
        f.write_str(policy.split_once(':').map_or(policy, |(_, name)| name))
    }
}

/// What came of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It was carried out.
    Done,
    /// Somebody said no.
    Refused(Refusal),
    /// Nobody said anything.
    Nothing(Unreached),
    /// It was not sent: what the account may ask for is kept for hand-offs.
    NotSent,
}

/// A no.
#[derive(Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The status of HTTP.
    pub status: u16,
    /// The error's type, like `AccessDeniedException`; empty if there is none.
    pub code: String,
    /// Its message. It is read, and never shown.
    pub message: String,
    /// By how many seconds our clock is ahead of the `Date` of the answer, if it has one.
    pub clock_ahead_s: Option<i64>,
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Refusal({} {})", self.status, self.plain_code())
    }
}

impl Refusal {
    /// The code as far as it is one: the rest may be anybody's text.
    fn plain_code(&self) -> String {
        let plain = |c: &char| c.is_ascii_alphanumeric() || "._-".contains(*c);
        let code: String = self.code.chars().take_while(plain).take(CODE_MAX).collect();
        if code.is_empty() { "without a code".to_owned() } else { code }
    }
}

/// The longest code of an error that is shown; Amazon's are shorter.
const CODE_MAX: usize = 64;

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("200"),
            Self::Refused(refusal) => write!(f, "{} {}", refusal.status, refusal.plain_code()),
            Self::Nothing(_) => f.write_str("no answer"),
            Self::NotSent => f.write_str("not sent"),
        }
    }
}

impl ConnectionReport {
    /// Whether hand-offs would be let through.
    pub fn is_valid(&self) -> bool {
        matches!(self.outcome, Outcome::Valid { .. })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Valid { instance: InstanceSeen::Active } => f.write_str("valid: the instance is active, and hand-offs may write to its contacts"),
            Self::Valid { instance: InstanceSeen::NotAllowed } => f.write_str(
                "valid: hand-offs may write to contacts of this instance; whether it is there cannot be known, as connect:DescribeInstance is not allowed (it need not be)",
            ),
            Self::Valid { instance: InstanceSeen::NotAnswered(cause) } => {
                write!(f, "valid: hand-offs may write to contacts of this instance; whether it is there is not known: {cause}")
            }
            Self::Invalid { action, cause } => write!(f, "invalid: {action}: {cause}"),
        }
    }
}

impl Outcome {
    /// The word of what is the matter; none where nothing is.
    pub fn cause(&self) -> Option<&'static str> {
        match self {
            Self::Valid { .. } => None,
            Self::Invalid { cause, .. } => Some(cause.label()),
        }
    }

    /// What to do about it; none where nothing is to be done.
    pub fn remedy(&self) -> Option<String> {
        match self {
            Self::Valid { .. } => None,
            Self::Invalid { cause, .. } => Some(cause.remedy()),
        }
    }
}

/// Why a role could not be assumed.
pub fn not_assumed(connection: &Connection, answer: &Answer) -> Cause {
    cause::of(connection, Action::AssumeRole, answer)
}

/// Why attributes may not be written; none if they may. The contact cannot exist: that it is not found means that we may.
pub fn updated(connection: &Connection, answer: &Answer) -> Option<Cause> {
    match answer {
        Answer::Done => None,
        Answer::Refused(Refusal { status: 404, code, .. }) if code == "ResourceNotFoundException" => None,
        Answer::Refused(Refusal { code, .. }) if code == "ContactNotFoundException" => None,
        answer => Some(cause::of(connection, Action::UpdateContactAttributes, answer)),
    }
}

/// What is known of the instance; `status` is what it says of itself.
pub fn described(connection: &Connection, answer: &Answer, status: Option<&str>) -> Result<InstanceSeen, Cause> {
    let active = |status: &str| status == "ACTIVE";
    if let Answer::Done = answer {
        return match status {
            Some(status) if !active(status) => Err(Cause::InstanceNotActive { status: plain_status(status) }),
            Some(_) | None => Ok(InstanceSeen::Active),
        };
    }
    match cause::of(connection, Action::DescribeInstance, answer) {
        Cause::Denied { .. } => Ok(InstanceSeen::NotAllowed),
        // Where the key was good a moment ago, these say what they mean.
        cause @ (Cause::InstanceUnknown { .. } | Cause::NotInThisRegion { .. }) => Err(cause),
        cause => Ok(InstanceSeen::NotAnswered(cause)),
    }
}

/// The words of Amazon's enumeration, whatever they come to be.
fn plain_status(status: &str) -> String {
    status.chars().filter(|c| c.is_ascii_uppercase() || *c == '_').take(CODE_MAX).collect()
}

/// The endpoint of a request as it may be shown: without a user, and without a path.
fn endpoint(connection: &Connection, action: Action) -> String {
    let (url, public, region) = match (action, &connection.identity) {
        (Action::AssumeRole, Identity::Role(role)) => {
            (&role.sts_endpoint_url, "STS", role.region(&connection.instance))
        }
        _ => (&connection.endpoint_url, "Amazon Connect", connection.instance.region.as_str()),
    };
    let Some(url) = url else { return format!("{public} in {region}") };
    let rest = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit_once('@').map_or(authority, |(_, host)| host).to_owned()
}

#[cfg(test)]
mod tests;
