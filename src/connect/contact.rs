//! Who is this contact? Read from the headers of the INVITE that Amazon Connect's transfer block sends.
//!
//! Order of belief for the contact id: the tenant's configured header, `X-Amzn-ConnectInitialContactId`,
//! `X-Amzn-ConnectContactId`, JSON in User-to-User (RFC 7433). UpdateContactAttributes wants the *initial* contact id.
//!
//! Anybody can write these headers: only whoever knows that the INVITE comes from a restricted source may ask here
//! (`actors/reception/admission.rs`). Invariant: an instance ARN that is present and not the tenant's is never overlooked,
//! and an id that is not certain is none.

use serde_json::Value;

use crate::arn::InstanceArn;

/// The longest contact id (API reference of UpdateContactAttributes).
const CONTACT_ID_MAX: usize = 256;

/// The contact a call belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactReference {
    /// The initial contact id, 1 to 256 printing characters of ASCII; `None` where it is not known.
    pub initial_contact_id: Option<String>,
    /// Why not, for a tenant of Amazon Connect.
    pub unknown: Option<UnknownContact>,
}

/// Why a call of a tenant of Amazon Connect is served without its contact: nothing can be written for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownContact {
    /// No header named one.
    NotTold,
    /// A header holds a reference like `$.ContactId` instead of its value: the flow's field is set by hand where it should
    /// be set dynamically.
    Literal,
    /// The id is too long, or holds blanks, control characters or what is no ASCII.
    Malformed,
    /// One header names two.
    Ambiguous,
    /// Anybody can send from there, so that what headers say proves nothing.
    UnrestrictedSource,
    /// Another call that is up has it.
    Taken,
}

impl UnknownContact {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::NotTold, Self::Literal, Self::Malformed, Self::Ambiguous, Self::UnrestrictedSource, Self::Taken];

    /// The metric's label.
    pub fn label(self) -> &'static str {
        match self {
            Self::NotTold => "not_told",
            Self::Literal => "literal_reference",
            Self::Malformed => "malformed",
            Self::Ambiguous => "ambiguous",
            Self::UnrestrictedSource => "unrestricted_source",
            Self::Taken => "taken",
        }
    }

    /// What happened and what to do, in a sentence.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::NotTold => "no header of the INVITE names the contact: no hand-off is possible",
            Self::Literal => {
                "a header holds a reference like $.ContactId and not its value: in the flow's transfer block set the field dynamically"
            }
            Self::Malformed => {
                "the contact id in the INVITE has more than 256 characters, or others than printing ASCII"
            }
            Self::Ambiguous => "one header of the INVITE names two contacts",
            Self::UnrestrictedSource => {
                "anybody can call from there, so its headers are not believed: list the networks in sip.listen (from ...) or tenants.sip.sources, or ask for a login or a client certificate"
            }
            Self::Taken => "another call that is up has the same contact",
        }
    }
}

/// Why an INVITE must be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the call comes from another Amazon Connect instance than the tenant's")]
pub struct ForeignInstance;

impl ContactReference {
    /// Of a call that has nothing to do with Amazon Connect.
    pub fn none() -> Self {
        Self { initial_contact_id: None, unknown: None }
    }

    /// Of a call whose contact is not known, and why.
    pub fn unknown(why: UnknownContact) -> Self {
        Self { initial_contact_id: None, unknown: Some(why) }
    }

    /// Reads the headers of an INVITE whose source is believed. `headers` yields name and value in wire order; `configured`
    /// is the tenant's own header name.
    pub fn from_headers<'a>(
        headers: impl Iterator<Item = (&'a str, &'a str)> + Clone,
        configured: Option<&str>,
        tenant: &InstanceArn,
    ) -> Result<Self, ForeignInstance> {
        let all = |name: &str| {
            let named = headers.clone().filter(|(n, v)| n.eq_ignore_ascii_case(name) && !v.trim().is_empty());
            named.map(|(_, value)| value.trim()).collect::<Vec<_>>()
        };
        let user_to_user: Vec<String> = all("User-to-User")
            .into_iter()
            .flat_map(|value| value.split(',').map(decode_user_to_user).collect::<Vec<_>>())
            .collect();
        // A value with commas in it (raw JSON) is read whole as well.
        let whole = all("User-to-User").into_iter().map(decode_user_to_user);
        let user_to_user: Vec<String> = user_to_user.into_iter().chain(whole).collect();
        let json: Vec<Value> = user_to_user.iter().filter_map(|text| serde_json::from_str(text).ok()).collect();

        let stated = all("X-Amzn-SourceArn").into_iter().map(str::to_owned);
        let in_json =
            json.iter().filter_map(|value| text_of(value, &["i", "instanceArn", "instanceARN", "InstanceARN"]));
        let raw = user_to_user.iter().filter(|text| text.starts_with("arn:")).cloned();
        // A reference that nobody put a value for tells nothing: it is no instance at all, and no other one either.
        for arn in stated.chain(in_json).chain(raw).filter(|arn| !is_literal(arn)) {
            match arn.parse::<InstanceArn>() {
                Ok(arn) if arn == *tenant => {}
                _ => return Err(ForeignInstance),
            }
        }
        let names = ["ic", "initialContactId", "InitialContactId", "c", "contactId", "ContactId"];
        let in_headers = [configured.unwrap_or_default(), "X-Amzn-ConnectInitialContactId", "X-Amzn-ConnectContactId"];
        let told = in_headers
            .into_iter()
            .map(|name| all(name).into_iter().map(str::to_owned).collect())
            .chain([json.iter().filter_map(|value| text_of(value, &names)).collect::<Vec<String>>()]);
        let mut literal = user_to_user.iter().any(|text| is_literal(text));
        for mut ids in told {
            literal |= ids.iter().any(|id| is_literal(id));
            ids.retain(|id| !is_literal(id));
            let Some(id) = ids.first() else { continue };
            if ids.iter().any(|other| other != id) {
                return Ok(Self::unknown(UnknownContact::Ambiguous));
            }
            let good = id.len() <= CONTACT_ID_MAX && id.bytes().all(|byte| byte.is_ascii_graphic());
            return Ok(match good {
                true => Self { initial_contact_id: Some(id.clone()), unknown: None },
                false => Self::unknown(UnknownContact::Malformed),
            });
        }
        Ok(Self::unknown(if literal { UnknownContact::Literal } else { UnknownContact::NotTold }))
    }
}

/// A reference of the flow language that stands where its value should.
fn is_literal(text: &str) -> bool {
    text.starts_with("$.")
}

/// Strips parameters and decodes hex: `;encoding=hex`, or plain hex of even length. Anything else is taken raw. Unknown
/// parameters never reject.
pub fn decode_user_to_user(value: &str) -> String {
    let value = value.trim();
    // Parameters come after the data; raw JSON may contain a semicolon itself.
    let data = if value.starts_with('{') { value } else { value.split(';').next().unwrap_or_default() };
    let data = data.trim().trim_matches('"');
    // Said by `encoding=hex` or not: what is all hex is decoded, what is not cannot be.
    let is_hex = data.len() >= 2 && data.len().is_multiple_of(2) && data.bytes().all(|b| b.is_ascii_hexdigit());
    if is_hex {
        let bytes: Option<Vec<u8>> =
            (0..data.len()).step_by(2).map(|at| u8::from_str_radix(data.get(at..at + 2)?, 16).ok()).collect();
        if let Some(text) = bytes.and_then(|bytes| String::from_utf8(bytes).ok()) {
            return text;
        }
    }
    data.to_owned()
}

fn text_of(value: &Value, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| value.get(name)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:connect:eu-west-2:111122223333:instance/abc";

    fn read(headers: &[(&str, &str)], configured: Option<&str>) -> Result<Option<String>, ForeignInstance> {
        let tenant = ARN.parse().expect("good");
        ContactReference::from_headers(headers.iter().copied(), configured, &tenant).map(|c| c.initial_contact_id)
    }

    fn hex(text: &str) -> String {
        text.bytes().map(|b| format!("{b:02x}")).collect()
    }

    #[test]
    fn the_contact_id_is_believed_in_order() {
        let json = format!("{};encoding=hex", hex(&format!(r#"{{"v":1,"i":"{ARN}","c":"c4","ic":"ic4"}}"#)));
        let all = [
            ("User-to-User", json.as_str()),
            ("x-amzn-connectcontactid", "c3"),
            ("X-Amzn-ConnectInitialContactId", "ic2"),
            ("X-Mine", "mine1"),
        ];
        assert_eq!(read(&all, Some("x-mine")), Ok(Some("mine1".into())));
        assert_eq!(read(&all, None), Ok(Some("ic2".into())));
        assert_eq!(read(&all[..2], None), Ok(Some("c3".into())));
        assert_eq!(read(&all[..1], None), Ok(Some("ic4".into())));
        assert_eq!(read(&[("User-to-User", &hex(ARN))], None), Ok(None));
        assert_eq!(read(&[], None), Ok(None));
    }

    #[test]
    fn user_to_user_comes_in_many_dresses() {
        let json = r#"{"contactId":"c1","a":";,"}"#;
        for value in
            [json.to_owned(), hex(json), hex(json).to_uppercase() + " ; encoding=hex;purpose=isdn-uui;content=x"]
        {
            assert_eq!(read(&[("User-to-User", &value)], None), Ok(Some("c1".into())), "{value}");
        }
        assert_eq!(decode_user_to_user("f9ca6fe2-19cb"), "f9ca6fe2-19cb");
        assert_eq!(read(&[("User-to-User", "x"), ("User-to-User", json)], None), Ok(Some("c1".into())));
    }

    #[test]
    fn another_instance_is_refused_wherever_it_is_named() {
        let other = ARN.replace("abc", "other");
        let json = format!(r#"{{"i":"{other}","c":"x"}}"#);
        for headers in [
            [("X-Amzn-SourceArn", other.as_str())],
            [("User-to-User", other.as_str())],
            [("User-to-User", json.as_str())],
        ] {
            assert_eq!(read(&headers, None), Err(ForeignInstance), "{headers:?}");
        }
        let encoded = format!("{};encoding=hex", hex(&other));
        assert_eq!(read(&[("X-Amzn-SourceArn", ARN), ("User-to-User", &encoded)], None), Err(ForeignInstance));
        assert_eq!(read(&[("X-Amzn-SourceArn", ARN), ("x-amzn-sourcearn", &other)], None), Err(ForeignInstance));
    }

    #[test]
    fn an_id_that_is_not_certain_is_none() {
        use UnknownContact::{Ambiguous, Literal, Malformed, NotTold};
        let unknown = |headers: &[(&str, &str)]| {
            let tenant = ARN.parse().expect("good");
            let read = ContactReference::from_headers(headers.iter().copied(), None, &tenant).expect("served");
            assert_eq!(read.initial_contact_id, None);
            read.unknown
        };
        let initial = "X-Amzn-ConnectInitialContactId";
        assert_eq!(unknown(&[]), Some(NotTold));
        assert_eq!(unknown(&[(initial, "a"), (initial, "b")]), Some(Ambiguous));
        for odd in ["a b", "a\tb", "a\u{1}b", "\u{e4}", &"x".repeat(257)] {
            assert_eq!(unknown(&[(initial, odd)]), Some(Malformed), "{odd:?}");
        }
        let json = r#"{"i":"$.InstanceARN","c":"$.ContactId"}"#;
        for header in [
            ("User-to-User", "$.InstanceARN"),
            ("User-to-User", &hex("$.InstanceARN")),
            ("User-to-User", json),
            ("X-Amzn-SourceArn", "$.InstanceARN"),
            (initial, "$.InitialContactId"),
        ] {
            let expected = if header.0 == "X-Amzn-SourceArn" { NotTold } else { Literal };
            assert_eq!(unknown(&[header]), Some(expected), "{header:?}");
        }
        assert_eq!(read(&[("User-to-User", "$.InstanceARN"), (initial, "c1")], None), Ok(Some("c1".into())));
        assert_eq!(read(&[(initial, "c1"), (initial, "c1")], None), Ok(Some("c1".into())));
    }
}
