//! The key under which an agent finds the conversation: `SessionHistoryKey` in the contact's attributes.
//!
//! Invariant: a key is spent once. It is not `Clone`, committing consumes it, and no text of it can be read before
//! except the form under which its history is filed. It never contains `hangup`, which the flow tests with *Contains*.

use std::fmt;

/// The attribute's name, as the contact flow spells it.
pub const ATTRIBUTE: &str = "SessionHistoryKey";
/// The value that tells the flow to disconnect.
pub const HANGUP: &str = "hangup";
/// The header of a transfer by SIP that carries the key where `User-to-User` is the author's.
pub(crate) const SIP_HEADER: &str = "X-Watson-Assistant-Session-History-Key";
const USER_TO_USER: &str = "User-to-User";
/// Name and longest value, in bytes.
pub(crate) const ATTRIBUTE_BYTES_MAX: usize = ATTRIBUTE.len() + 1 + 2 * RANDOM_BYTES;
/// 160 random bits.
pub const RANDOM_BYTES: usize = 20;

/// The agent page of the sample flow drops the first character of what it is given; this one is there to be dropped.
const SACRIFICE: char = '_';

/// A key not yet spent. It is spent once:
///
/// ```
/// # use bellhop_connect::session_history_key::SessionHistoryKey;
/// let key = SessionHistoryKey::from_random([7; 20]);
/// let value = key.into_attribute_value();
/// ```
/// ```compile_fail
/// # use bellhop_connect::session_history_key::SessionHistoryKey;
/// let key = SessionHistoryKey::from_random([7; 20]);
/// let value = key.into_attribute_value();
/// let again = key.into_attribute_value(); // it was spent
/// ```
/// and there are not two of it:
///
/// ```compile_fail
/// # use bellhop_connect::session_history_key::SessionHistoryKey;
/// let key = SessionHistoryKey::from_random([7; 20]);
/// let other = key.clone();
/// let value = key.into_attribute_value();
/// ```
pub struct SessionHistoryKey {
    token: String,
}

impl SessionHistoryKey {
    /// A key of these random bytes, in hex: 40 characters, none of them above `f`, so that `hangup` cannot occur.
    pub fn from_random(bytes: [u8; RANDOM_BYTES]) -> Self {
        Self { token: bytes.iter().map(|b| format!("{b:02x}")).collect() }
    }

    /// The name under which the history is stored; the page turns what it was asked for into the same by
    /// [`filed_under`].
    pub fn filed_as(&self) -> FiledAs {
        FiledAs(self.token.clone())
    }

    /// Spends the key: the value of the attribute.
    pub fn into_attribute_value(self) -> String {
        format!("{SACRIFICE}{}", self.token)
    }

    /// Spends the key for a transfer by SIP: in `User-to-User` (RFC 7433, in hex), or beside it where the author uses that.
    pub fn into_sip_header(self, others: &[(String, String)]) -> (String, String) {
        let value = self.into_attribute_value();
        if others.iter().any(|(name, _)| name.eq_ignore_ascii_case(USER_TO_USER)) {
            return (SIP_HEADER.to_owned(), value);
        }
        let hex: String = value.bytes().map(|byte| format!("{byte:02x}")).collect();
        (USER_TO_USER.to_owned(), format!("{hex};encoding=hex"))
    }
}

impl fmt::Debug for SessionHistoryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionHistoryKey(redacted)")
    }
}

/// A lookup name of a stored history; whoever has it may read the conversation, so it prints itself redacted.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct FiledAs(String);

impl FiledAs {
    /// The text, for the store alone.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for FiledAs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FiledAs(redacted)")
    }
}

/// What a page request asks for, with or without the first character; `None` for what can be no key.
///
/// The sample flow's `screenPopURL` ends in `?session_history_key`, and the sample CCP page adds `=` and the key: where the
/// attribute has its `=` already, the value begins with the second one, which is forgiven.
pub fn filed_under(asked: &str) -> Option<FiledAs> {
    let asked = asked.trim();
    let asked = asked.strip_prefix('=').unwrap_or(asked);
    let token = asked.strip_prefix(SACRIFICE).unwrap_or(asked);
    let good =
        token.len() == 2 * RANDOM_BYTES && token.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    good.then(|| FiledAs(token.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_with_and_without_its_first_character() {
        let key = SessionHistoryKey::from_random([0xab; RANDOM_BYTES]);
        let filed = key.filed_as();
        assert_eq!(format!("{key:?} {filed:?}"), "SessionHistoryKey(redacted) FiledAs(redacted)");
        let value = key.into_attribute_value();
        assert!(value.len() + ATTRIBUTE.len() <= ATTRIBUTE_BYTES_MAX && !value.contains(HANGUP));
        assert_eq!(filed_under(&value), Some(filed.clone()));
        assert_eq!(filed_under(&value[1..]), Some(filed.clone()));
        for asked in [format!("={value}"), format!("={}", &value[1..])] {
            assert_eq!(filed_under(&asked), Some(filed.clone()), "{asked}");
        }
    }

    #[test]
    fn a_transfer_by_sip_carries_the_key_beside_what_the_author_sends() {
        let key = || SessionHistoryKey::from_random([0xab; RANDOM_BYTES]);
        let (name, value) = key().into_sip_header(&[("X-Topic".into(), "loan".into())]);
        assert_eq!(name, "User-to-User");
        assert!(value.starts_with("5f6162") && value.ends_with(";encoding=hex"), "{value}");
        let (name, value) = key().into_sip_header(&[("user-to-user".into(), "00".into())]);
        assert_eq!((name.as_str(), filed_under(&value)), (SIP_HEADER, Some(key().filed_as())));
    }

    #[test]
    fn what_is_no_key_is_not_looked_up() {
        for text in [
            "",
            "_",
            "hangup",
            "../../etc/passwd",
            &"g".repeat(40),
            &"a".repeat(39),
            &"a".repeat(42),
            &format!("=={}", "a".repeat(40)),
        ] {
            assert_eq!(filed_under(text), None, "{text}");
        }
    }
}
