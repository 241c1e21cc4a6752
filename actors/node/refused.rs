//! Why a call was refused, for whoever runs the server. Whoever called learns less: `reception/admission.rs`.
//!
//! Invariant: a refused call is told with where it came from, its Call-ID and the reason in a sentence; numbers as masked as
//! [`Numbers`] says, and no name of a caller.

use std::fmt;
use std::net::SocketAddr;
use std::time::SystemTime;

use bellhop_sip::hop::Transport;

/// A call that never came about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedCall {
    /// When the INVITE was refused.
    pub at: SystemTime,
    /// From where, as far as the address of a datagram can be believed.
    pub source: SocketAddr,
    /// UDP, TCP or TLS.
    pub transport: Transport,
    /// The Call-ID of its INVITE.
    pub sip_call_id: String,
    /// What was dialled, masked.
    pub dialled: String,
    /// Whose call it would have been, if that is known.
    pub tenant: Option<String>,
    /// What it was answered.
    pub status: u16,
    /// The reason in a sentence.
    pub why: Why,
}

/// Why a call was refused: a sentence for whoever runs the server, never for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // each says itself what it is
pub enum Why {
    Draining,
    NobodysNumber,
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

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Draining => "the server is draining and takes no more calls",
            Self::NobodysNumber => "no tenant has the number that was dialled",
            Self::NotFromThere => "the tenant's sip.sources do not name the address it came from",
            Self::OtherServerName => "the tenant's sip.server_name was not asked for in TLS",
            Self::LoginNeedsTls => "the tenant wants a login, and logins are taken over TLS alone",
            Self::WrongLogin => "user or password is not the tenant's",
            Self::KeyInTheClear => "srtp is required, and its keys would be readable without TLS",
            Self::OtherInstance => "the Amazon Connect instance that it names is not the tenant's",
            Self::NodeFull => "all places of this server are taken (sip.max_calls)",
            Self::TenantFull => "all places of the tenant are taken (max_calls)",
            Self::TenantTooFast => "more calls of the tenant came in a second than may (max_calls_per_second)",
            Self::Unacknowledged => "too many calls of its source wait for their ACK",
            Self::NoPorts => "no RTP port is free (media.ports)",
            Self::TooManyTurnedAway => "too many calls over the quota are being answered and ended",
            Self::NotAcceptable => "nothing in its offer can be served",
        })
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
