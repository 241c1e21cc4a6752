//! Why a call was refused, for whoever runs the server. Whoever called learns less: `reception/admission.rs`.
//!
//! Invariant: no secret of one tenant is told to another, and a refused call is told with where it came from, its Call-ID and the reason in a sentence; numbers as masked as
//! [`Numbers`] says, and no name of a caller.

use std::fmt;
use std::net::SocketAddr;
use std::time::SystemTime;

use bellhop_connect::FlowReference;
use bellhop_sip::hop::Transport;
use bellhop_tenancy::Number;

/// A call that never came about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedCall {
    /// When the INVITE was refused.
    pub at: SystemTime,
    /// From where, as far as the address of a datagram can be believed.
    pub source: SocketAddr,
    /// UDP, TCP or TLS.
    pub transport: Transport,
    /// The host name that was asked for in TLS, at most `SERVER_NAME_MAX` printing characters; nothing where it is the
    /// `server_name` of somebody, which is a secret of his.
    pub server_name: Option<String>,
    /// The Call-ID of its INVITE.
    pub sip_call_id: String,
    /// What was dialled, masked.
    pub dialled: String,
    /// What was dialled, if it is a number; for whoever keeps refusals, never for the log.
    pub number: Option<Number>,
    /// The tenants whose call it would have been, or may have been.
    pub tenants: Vec<String>,
    /// What it was answered.
    pub status: u16,
    /// The reason.
    pub why: Why,
    /// What a contact flow sent as text that should have been a value.
    pub sent_as_text: Option<FlowReference>,
}

/// The longest host name (RFC 1035 section 2.3.4).
const SERVER_NAME_MAX: usize = 253;

/// What of a host name that a stranger asked for is shown.
pub fn shown_server_name(name: &str) -> String {
    name.chars().filter(char::is_ascii_graphic).take(SERVER_NAME_MAX).collect()
}

/// Why a call was refused: a sentence for whoever runs the server, never for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // each says itself what it is
pub enum Why {
    Draining,
    NobodysNumber,
    SeveralOwners,
    NotFromThere,
    OtherServerName,
    LoginNeedsTls,
    WrongLogin,
    KeyInTheClear,
    OtherInstance,
    NodeFull,
    TenantFull,
    TenantTooFast,
    Unacknowledged,
    NoPorts,
    TooManyTurnedAway,
    NotAcceptable,
}

impl Why {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::Draining,
        Self::NobodysNumber,
        Self::SeveralOwners,
        Self::NotFromThere,
        Self::OtherServerName,
        Self::LoginNeedsTls,
        Self::WrongLogin,
        Self::KeyInTheClear,
        Self::OtherInstance,
        Self::NodeFull,
        Self::TenantFull,
        Self::TenantTooFast,
        Self::Unacknowledged,
        Self::NoPorts,
        Self::TooManyTurnedAway,
        Self::NotAcceptable,
    ];
}

/// Everything of a reason in one place: its word, what happened, and what to do.
struct Words(&'static str, &'static str, &'static str);

impl Why {
    fn words(self) -> Words {
        match self {
            Self::Draining => Words(
                "draining",
                "the server is draining and takes no more calls",
                "nothing, if it is being restarted: other nodes take the calls meanwhile",
            ),
            Self::NobodysNumber => Words(
                "nobodys_number",
                "no tenant has the number that was dialled",
                "add the number to an integration, or correct it where the call is sent from",
            ),
            Self::SeveralOwners => Words(
                "several_owners",
                "several tenants have this number and the call does not say which Amazon Connect instance it comes from, or comes from where that is not believed",
                "list the networks that calls come from in sip.sources, have the flow send $.InstanceARN in User-to-User, or ask the operator to confirm whose the number is",
            ),
            Self::NotFromThere => Words(
                "not_from_there",
                "the tenant's sip.sources do not name the address it came from",
                "add the address or its network to sip.sources, if it is yours",
            ),
            Self::OtherServerName => Words(
                "other_server_name",
                "the tenant's sip.server_name was not asked for in TLS",
                "send the calls to the host name that sip.server_name says",
            ),
            Self::LoginNeedsTls => Words(
                "login_needs_tls",
                "the tenant wants a login, and logins are taken over TLS alone",
                "send the calls over TLS, or take the login out",
            ),
            Self::WrongLogin => Words(
                "wrong_login",
                "user or password is not the tenant's",
                "enter the same user and password here and where the calls are sent from",
            ),
            Self::KeyInTheClear => Words(
                "key_in_the_clear",
                "srtp is required, and its keys would be readable without TLS",
                "send the calls over TLS, or set media.srtp to preferred",
            ),
            Self::OtherInstance => Words(
                "other_instance",
                "the Amazon Connect instance or account that it names is not the tenant's",
                "correct connect.instance_arn, or have the flow of that instance send its calls to a number of its own",
            ),
            Self::NodeFull => Words(
                "node_full",
                "all places of this server are taken (sip.max_calls)",
                "raise sip.max_calls, or add a node",
            ),
            Self::TenantFull => Words(
                "tenant_full",
                "all places of the tenant are taken (max_calls)",
                "raise max_calls, or have the tenant put on a larger plan",
            ),
            Self::TenantTooFast => Words(
                "tenant_too_fast",
                "more calls of the tenant came in a second than may (max_calls_per_second)",
                "raise max_calls_per_second, or have the tenant put on a larger plan",
            ),
            Self::Unacknowledged => Words(
                "unacknowledged",
                "too many calls of its source wait for their ACK",
                "look why our answers do not arrive there: an address, a route or a firewall on the way back",
            ),
            Self::NoPorts => Words(
                "no_ports",
                "no RTP port is free (media.ports)",
                "widen media.ports, or stop what else uses ports of it",
            ),
            Self::TooManyTurnedAway => Words(
                "too_many_turned_away",
                "too many calls over the limits of their tenant are being answered and ended",
                "raise the tenant's limits, or have its flow send fewer calls",
            ),
            Self::NotAcceptable => Words(
                "not_acceptable",
                "nothing in its offer can be served",
                "have it offer PCMU, and SRTP only as media.srtp says",
            ),
        }
    }

    /// Its word, for those who count.
    pub fn word(self) -> &'static str {
        self.words().0
    }

    /// What to do about it, in a sentence.
    pub fn what_to_do(self) -> &'static str {
        self.words().2
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words().1)
    }
}

/// How much of a number is shown to whoever runs the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Numbers {
    /// Its last four characters.
    #[default]
    LastFour,
    /// All of it.
    Whole,
    /// Nothing.
    Hidden,
}

impl Numbers {
    /// The words in the configuration.
    pub const ALL: [(&'static str, Self); 3] =
        [("last_four", Self::LastFour), ("whole", Self::Whole), ("hidden", Self::Hidden)];

    /// A number as it is shown; at most 40 characters of what a stranger wrote.
    pub fn show(self, number: &str) -> String {
        let characters: Vec<char> = number.chars().filter(|c| c.is_ascii_graphic()).collect();
        match self {
            Self::Hidden => String::new(),
            Self::Whole => characters.into_iter().take(40).collect(),
            Self::LastFour => {
                let masked = characters.len().saturating_sub(4).min(36);
                let last = characters[characters.len().saturating_sub(4)..].iter();
                std::iter::repeat_n('•', masked).chain(last.copied().filter(|_| characters.len() > 4)).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_as_they_may_be() {
        for (numbers, shown) in
            [(Numbers::LastFour, "••••••••0123"), (Numbers::Whole, "+18005550123"), (Numbers::Hidden, "")]
        {
            assert_eq!(numbers.show("+18005550123"), shown);
        }
        assert_eq!(Numbers::LastFour.show("1000"), "", "a short one is not shown by its end");
        assert_eq!(Numbers::Whole.show("a\u{1b}[31m\r\nb"), "a[31mb", "nothing of a stranger moves a cursor");
        assert!(Numbers::LastFour.show(&"9".repeat(9000)).chars().count() <= 40);
    }
}
