//! Why a connection is of no use, and what to do about it.
//!
//! Invariant: causes with different remedies are different causes; a sentence names what may be seen by whoever set the
//! connection up, and never a key or a secret.

use std::fmt;
use std::time::Duration;

use super::{Action, Answer, Refusal, endpoint};
use crate::arn::{InstanceArn, RoleArn};
use crate::connection::{Connection, Identity};

/// Amazon believes a signature this long before and after its time.
const SKEW_MAX_S: i64 = 300;

/// Why a connection is of no use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// Nobody has an access key of this id.
    KeyUnknown,
    /// The id is known, and the secret is not its.
    SecretWrong,
    /// Requests are signed with a wrong time.
    ClockOff {
        /// By how many seconds this machine is ahead, if that is known.
        ahead_s: Option<i64>,
    },
    /// A policy does not allow it, or one denies it.
    Denied {
        /// What.
        action: Action,
        /// On what.
        resource: String,
    },
    /// The role cannot be assumed; Amazon does not say which of the reasons it is.
    RoleRefused {
        /// The role.
        role: RoleArn,
        /// What we say to it.
        external_id: String,
        /// The account of who asked, if the answer told.
        caller_account: Option<String>,
    },
    /// There is no such instance.
    InstanceUnknown {
        /// Which.
        instance: InstanceArn,
    },
    /// The instance, or the account, is not served in this Region.
    NotInThisRegion {
        /// Where it was looked for.
        region: String,
    },
    /// The instance is there, and takes no calls.
    InstanceNotActive {
        /// What it says of itself.
        status: String,
    },
    /// Nobody was there to answer.
    Unreached {
        /// Where.
        endpoint: String,
        /// How.
        how: Unreached,
    },
    /// The account asks for more than Amazon allows.
    Throttled,
    /// We kept what the account may ask for to hand-offs.
    HandoffsFirst,
    /// Something else.
    Unexpected {
        /// The status of HTTP.
        status: u16,
        /// The error's type.
        code: String,
    },
}

/// Why there was no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreached {
    /// The name has no address.
    NameNotResolved,
    /// Nobody listens there.
    ConnectionRefused,
    /// Who listens there does not prove to be who was asked.
    TlsFailed {
        /// In the words of who checks it.
        why: String,
    },
    /// Nothing came in time.
    NoAnswer {
        /// How long was waited.
        within: Duration,
    },
    /// It is on a private network, which whoever runs this server has not allowed.
    PrivateAddress,
    /// The connection broke, or could not be made.
    ConnectionLost,
}

/// The words of all causes, in one list: `docs/errors.md` has an entry for each.
macro_rules! labels {
    ($($label:ident $text:literal)+) => {
        #[derive(Debug, Clone, Copy)]
        enum Label { $($label),+ }

        impl Label {
            const fn text(self) -> &'static str {
                match self { $(Self::$label => $text),+ }
            }
        }

        impl Cause {
            /// Every word.
            pub const LABELS: &'static [&'static str] = &[$(Label::$label.text()),+];
        }
    };
}

labels! {
    KeyUnknown "key_unknown"
    SecretWrong "secret_wrong"
    ClockOff "clock_off"
    Denied "denied"
    RoleRefused "role_refused"
    InstanceUnknown "instance_unknown"
    NotInThisRegion "not_in_this_region"
    InstanceNotActive "instance_not_active"
    NameNotResolved "name_not_resolved"
    ConnectionRefused "connection_refused"
    PrivateAddress "private_address"
    TlsFailed "tls_failed"
    NoAnswer "no_answer"
    ConnectionLost "connection_lost"
    Throttled "throttled"
    HandoffsFirst "handoffs_first"
    Unexpected "unexpected"
}

/// The cause of an answer that is not good.
pub(super) fn of(connection: &Connection, action: Action, answer: &Answer) -> Cause {
    match answer {
        Answer::Done => Cause::Unexpected { status: 200, code: "unreadable".to_owned() },
        Answer::NotSent => Cause::HandoffsFirst,
        Answer::Nothing(how) => Cause::Unreached { endpoint: endpoint(connection, action), how: how.clone() },
        Answer::Refused(refusal) => of_refusal(connection, action, refusal),
    }
}

fn of_refusal(connection: &Connection, action: Action, refusal: &Refusal) -> Cause {
    let instance = &connection.instance;
    match refusal.code.as_str() {
        "UnrecognizedClientException" | "InvalidClientTokenId" | "InvalidAccessKeyId" => Cause::KeyUnknown,
        "RequestExpired" | "RequestTimeTooSkewed" | "RequestInTheFuture" => {
            Cause::ClockOff { ahead_s: refusal.clock_ahead_s }
        }
        "InvalidSignatureException" | "SignatureDoesNotMatch" if is_off(refusal) => {
            Cause::ClockOff { ahead_s: refusal.clock_ahead_s }
        }
        "InvalidSignatureException" | "SignatureDoesNotMatch" => Cause::SecretWrong,
        "AccessDeniedException" | "AccessDenied" => denied(connection, action, refusal),
        "InvalidActiveRegionException" | "OptInRequired" | "RegionDisabledException" => {
            Cause::NotInThisRegion { region: instance.region.clone() }
        }
        "ResourceNotFoundException" if action == Action::DescribeInstance => {
            Cause::InstanceUnknown { instance: instance.clone() }
        }
        "TooManyRequestsException" | "ThrottlingException" | "Throttling" | "RequestLimitExceeded" => Cause::Throttled,
        _ if refusal.status == 429 => Cause::Throttled,
        _ => Cause::Unexpected { status: refusal.status, code: refusal.plain_code() },
    }
}

/// Whether a signature was refused for its time: Amazon says so in words, or the clocks say it.
fn is_off(refusal: &Refusal) -> bool {
    let said = ["Signature expired", "Signature not yet current"].iter().any(|words| refusal.message.contains(words));
    said || refusal.clock_ahead_s.is_some_and(|ahead| ahead.abs() > SKEW_MAX_S)
}

fn denied(connection: &Connection, action: Action, refusal: &Refusal) -> Cause {
    let instance = &connection.instance;
    let resource = match (action, &connection.identity) {
        (Action::AssumeRole, Identity::Role(role)) => {
            return Cause::RoleRefused {
                role: role.arn.clone(),
                external_id: role.external_id.clone(),
                caller_account: account_of_caller(&refusal.message),
            };
        }
        (Action::UpdateContactAttributes, _) => format!("{instance}/contact/*"),
        (Action::DescribeInstance | Action::AssumeRole, _) => instance.to_string(),
    };
    Cause::Denied { action, resource }
}

/// `User: arn:aws:iam::111122223333:user/name is not authorized to perform …`
fn account_of_caller(message: &str) -> Option<String> {
    let arn = message.split_once("User: ")?.1.split(' ').next()?;
    let account = arn.split(':').nth(4)?;
    (account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit())).then(|| account.to_owned())
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyUnknown => f.write_str("the access key id is not known to Amazon"),
            Self::SecretWrong => f.write_str("the secret access key is not that of the access key id"),
            Self::ClockOff { ahead_s: Some(s) } if *s >= 0 => {
                write!(f, "this server's clock is {s} s ahead of Amazon's")
            }
            Self::ClockOff { ahead_s: Some(s) } => write!(f, "this server's clock is {} s behind Amazon's", s.abs()),
            Self::ClockOff { ahead_s: None } => {
                write!(f, "this server's clock is off by more than {SKEW_MAX_S} s")
            }
            Self::Denied { action, resource } => write!(f, "{} on {resource} is not allowed", action.in_policies()),
            Self::RoleRefused { role, .. } => write!(
                f,
                "{role} may not be assumed: there is no such role, or its trust policy names another account or another external id, or our own key may not assume it (Amazon answers all of these alike)"
            ),
            Self::InstanceUnknown { instance } => {
                write!(
                    f,
                    "account {} has no instance {} in {}",
                    instance.account, instance.instance_id, instance.region
                )
            }
            Self::NotInThisRegion { region } => write!(f, "the instance or its account is not active in {region}"),
            Self::InstanceNotActive { status } => write!(f, "the instance is {status}, not ACTIVE"),
            Self::Unreached { endpoint, how } => match how {
                Unreached::NameNotResolved => write!(f, "the name of {endpoint} cannot be resolved"),
                Unreached::ConnectionRefused => write!(f, "{endpoint} refuses connections"),
                Unreached::PrivateAddress => write!(f, "the address of {endpoint} is private, and was not asked"),
                Unreached::TlsFailed { why } => write!(f, "TLS with {endpoint} fails: {why}"),
                Unreached::NoAnswer { within } => {
                    write!(f, "{endpoint} did not answer within {} s", within.as_secs_f32())
                }
                Unreached::ConnectionLost => write!(f, "the connection to {endpoint} could not be made, or broke"),
            },
            Self::Throttled => f.write_str("Amazon throttles this account's requests"),
            Self::HandoffsFirst => f.write_str("not asked: what this account may ask for is needed by hand-offs"),
            Self::Unexpected { status, code } => write!(f, "Amazon answered {status} {code}"),
        }
    }
}

impl Cause {
    /// A word for programs.
    pub fn label(&self) -> &'static str {
        let label = match self {
            Self::KeyUnknown => Label::KeyUnknown,
            Self::SecretWrong => Label::SecretWrong,
            Self::ClockOff { .. } => Label::ClockOff,
            Self::Denied { .. } => Label::Denied,
            Self::RoleRefused { .. } => Label::RoleRefused,
            Self::InstanceUnknown { .. } => Label::InstanceUnknown,
            Self::NotInThisRegion { .. } => Label::NotInThisRegion,
            Self::InstanceNotActive { .. } => Label::InstanceNotActive,
            Self::Unreached { how, .. } => match how {
                Unreached::NameNotResolved => Label::NameNotResolved,
                Unreached::ConnectionRefused => Label::ConnectionRefused,
                Unreached::PrivateAddress => Label::PrivateAddress,
                Unreached::TlsFailed { .. } => Label::TlsFailed,
                Unreached::NoAnswer { .. } => Label::NoAnswer,
                Unreached::ConnectionLost => Label::ConnectionLost,
            },
            Self::Throttled => Label::Throttled,
            Self::HandoffsFirst => Label::HandoffsFirst,
            Self::Unexpected { .. } => Label::Unexpected,
        };
        label.text()
    }

    /// What to do about it.
    pub fn remedy(&self) -> String {
        match self {
            Self::KeyUnknown => "Look in IAM whether the key was deleted or made inactive, and whether its account is of the same partition as the instance; write its id again, or make a new key.".to_owned(),
            Self::SecretWrong => "Write the secret again: it is shown once, when a key is made. If it is lost, make a new key.".to_owned(),
            Self::ClockOff { .. } => format!("Set this server's clock by NTP (chrony, systemd-timesyncd): Amazon takes {SKEW_MAX_S} s."),
            Self::Denied { action, resource } => format!(
                "Add this statement to the policy of the key's user, or of the role; if it is there, look for a Deny, a permissions boundary or a service control policy: {}",
                statement(action.in_policies(), resource)
            ),
            Self::RoleRefused { role, external_id, caller_account } => {
                let account = caller_account.as_deref().unwrap_or("BELLHOP_ACCOUNT");
                let partition = role.as_str().split(':').nth(1).unwrap_or("aws");
                format!(
                    "Look whether the role is there, and give it this trust policy: {{\"Version\": \"2012-10-17\", \"Statement\": [{{\"Effect\": \"Allow\", \"Principal\": {{\"AWS\": \"arn:{partition}:iam::{account}:root\"}}, \"Action\": \"sts:AssumeRole\", \"Condition\": {{\"StringEquals\": {{\"sts:ExternalId\": \"{external_id}\"}}}}}}]}}. The user of our own key needs: {}",
                    statement("sts:AssumeRole", role.as_str())
                )
            }
            Self::InstanceUnknown { .. } => "Copy the instance's ARN again from the console of Amazon Connect: it names Region and account too.".to_owned(),
            Self::NotInThisRegion { .. } => "Write the ARN of the instance in the Region that is active: of replicas, one is; and look whether the account has enabled the Region.".to_owned(),
            Self::InstanceNotActive { .. } => "Wait until the instance has been made; if that failed, make another.".to_owned(),
            Self::Unreached { how, .. } => match how {
                Unreached::NameNotResolved => "Look whether the Region in the ARN and the endpoint's URL are spelt right, and whether this server can resolve names.",
                Unreached::ConnectionRefused => "Look whether the endpoint's URL has the right port.",
                Unreached::PrivateAddress => "Take the endpoint_url out, or name one of the internet: whoever runs this server may allow private networks (egress.private_networks).",
                Unreached::TlsFailed { .. } => "Look whether something between this server and Amazon answers in its place (a proxy), and whether this machine's authorities are there (ca-certificates).",
                Unreached::NoAnswer { .. } | Unreached::ConnectionLost => "Look whether this server may reach that address on its port: routes, security groups, firewalls; then test again.",
            }
            .to_owned(),
            Self::Throttled | Self::HandoffsFirst => "Test again in a minute.".to_owned(),
            Self::Unexpected { .. } => "Test again; if it stays, look the code up in Amazon's documentation, and whether the endpoint's URL is Amazon's.".to_owned(),
        }
    }
}

/// A statement as it is pasted into a policy.
fn statement(action: &str, resource: &str) -> String {
    format!("{{\"Effect\": \"Allow\", \"Action\": \"{action}\", \"Resource\": \"{resource}\"}}")
}
