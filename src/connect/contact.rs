//! Who is this contact? Read from the headers of the INVITE that Amazon Connect's transfer block sends.
//!
//! Order of belief for the contact id: the tenant's configured header, `X-Amzn-ConnectInitialContactId`,
//! `X-Amzn-ConnectContactId`, JSON in User-to-User (RFC 7433). UpdateContactAttributes wants the *initial* contact id.
//!
//! Anybody can write these headers: only whoever knows that the INVITE comes from a restricted source may believe what they
//! say (`actors/reception/admission.rs`). Invariant: an instance or account that is present and not the tenant's is never
//! overlooked, an id that is not certain is none, and a reference that stands where its value should tells nothing.

use std::fmt;

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
    /// A reference that came as text, whether or not another header told what it should have.
    pub sent_as_text: Option<FlowReference>,
}

/// A reference of the flow language, like `$.InstanceARN`, that a flow sent as text and not as what it stands for. It is of
/// letters and dots alone: nothing else that a stranger wrote is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowReference(String);

/// The longest reference that is shown.
const REFERENCE_MAX: usize = 64;

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
            Self::Literal => "a header holds a reference like $.ContactId and not its value: no hand-off is possible",
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
        Self { initial_contact_id: None, unknown: None, sent_as_text: None }
    }

    /// Of a call whose contact is not known, and why.
    pub fn unknown(why: UnknownContact) -> Self {
        Self { unknown: Some(why), ..Self::none() }
    }

    /// Reads the headers of an INVITE whose source is believed. `headers` yields name and value in wire order; `configured`
    /// is the tenant's own header name.
    pub fn from_headers<'a>(
        headers: impl Iterator<Item = (&'a str, &'a str)> + Clone,
        configured: Option<&str>,
        tenant: &InstanceArn,
    ) -> Result<Self, ForeignInstance> {
        let stated = Stated::read(headers, configured);
        // A reference that nobody put a value for tells nothing: it is no instance at all, and no other one either.
        let is_own = |arn: &&String| arn.parse::<InstanceArn>().is_ok_and(|arn| arn == *tenant);
        let foreign = told(&stated.source_arns).chain(told(&stated.arns)).any(|arn| !is_own(&arn));
        if foreign || told(&stated.accounts).any(|account| *account != tenant.account) {
            return Err(ForeignInstance);
        }
        let sent_as_text = stated.reference();
        let unknown = |why| Ok(Self { unknown: Some(why), sent_as_text: sent_as_text.clone(), ..Self::none() });
        for ids in &stated.contact_ids {
            let ids: Vec<&String> = told(ids).collect();
            let Some(id) = ids.first() else { continue };
            if ids.iter().any(|other| other != id) {
                return unknown(UnknownContact::Ambiguous);
            }
            return match id.len() <= CONTACT_ID_MAX && id.bytes().all(|byte| byte.is_ascii_graphic()) {
                true => Ok(Self { initial_contact_id: Some((*id).clone()), unknown: None, sent_as_text }),
                false => unknown(UnknownContact::Malformed),
            };
        }
        unknown(if sent_as_text.is_some() { UnknownContact::Literal } else { UnknownContact::NotTold })
    }
}

/// The instance that an INVITE says it comes from: what Amazon says in X-Amzn-SourceArn goes before what a flow says in
/// User-to-User. Nothing if two are named, or one that cannot be read.
pub fn named_instance<'a>(headers: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> Option<InstanceArn> {
    let stated = Stated::read(headers, None);
    let mut arns = told(&stated.source_arns).peekable();
    let all: Vec<&String> = if arns.peek().is_some() { arns.collect() } else { told(&stated.arns).collect() };
    let mut all = all.into_iter().map(|arn| arn.parse::<InstanceArn>().ok());
    let first = all.next()??;
    all.all(|other| other.as_ref() == Some(&first)).then_some(first)
}

/// The reference that stands in one of the headers in place of its value, if there is one.
pub fn sent_as_text<'a>(headers: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> Option<FlowReference> {
    Stated::read(headers, None).reference()
}

/// What headers say, as it is written there.
struct Stated {
    /// In X-Amzn-SourceArn.
    source_arns: Vec<String>,
    /// In X-Amzn-SourceAccount.
    accounts: Vec<String>,
    /// In User-to-User: ARNs of instances, or what stands in their place.
    arns: Vec<String>,
    /// Contact ids by place, in order of belief.
    contact_ids: Vec<Vec<String>>,
    /// References in User-to-User that stand for themselves.
    references: Vec<String>,
}

impl Stated {
    fn read<'a>(headers: impl Iterator<Item = (&'a str, &'a str)> + Clone, configured: Option<&str>) -> Self {
        let all = |name: &str| {
            let named = headers.clone().filter(|(n, v)| n.eq_ignore_ascii_case(name) && !v.trim().is_empty());
            named.map(|(_, value)| value.trim()).collect::<Vec<_>>()
        };
        // Whatever stands there may be in hex where a flow's field asks for it, a reference as well.
        let texts = |name: &str| {
            let decoded = |value: &str| {
                let decoded = decode_user_to_user(value);
                if is_literal(&decoded) { decoded } else { value.to_owned() }
            };
            all(name).into_iter().map(decoded).collect::<Vec<_>>()
        };
        // A value with commas in it (raw JSON) is read whole as well.
        let pieces = all("User-to-User").into_iter().flat_map(|value| value.split(','));
        let user_to_user: Vec<String> = pieces.chain(all("User-to-User")).map(decode_user_to_user).collect();
        let json: Vec<Value> = user_to_user.iter().filter_map(|text| serde_json::from_str(text).ok()).collect();
        let in_json = json.iter().filter_map(|value| text_of(value, &INSTANCE_NAMES));
        let raw = user_to_user.iter().filter(|text| text.starts_with("arn:")).cloned();
        let in_headers = [configured.unwrap_or_default(), "X-Amzn-ConnectInitialContactId", "X-Amzn-ConnectContactId"];
        let ids = json.iter().filter_map(|value| text_of(value, &CONTACT_NAMES)).collect();
        Self {
            source_arns: texts("X-Amzn-SourceArn"),
            accounts: texts("X-Amzn-SourceAccount"),
            arns: in_json.chain(raw).collect(),
            contact_ids: in_headers.into_iter().map(texts).chain([ids]).collect(),
            references: user_to_user.iter().filter(|text| is_literal(text)).cloned().collect(),
        }
    }

    /// The first reference that stands where its value should.
    fn reference(&self) -> Option<FlowReference> {
        let ids = self.contact_ids.iter().flatten();
        let all = self.references.iter().chain(ids).chain(&self.arns).chain(&self.source_arns).chain(&self.accounts);
        all.filter(|text| is_literal(text)).map(|text| FlowReference::shown(text)).next()
    }
}

/// The members of JSON in User-to-User that hold the instance.
const INSTANCE_NAMES: [&str; 4] = ["i", "instanceArn", "instanceARN", "InstanceARN"];
/// Those that hold the contact id, the initial one first.
const CONTACT_NAMES: [&str; 6] = ["ic", "initialContactId", "InitialContactId", "c", "contactId", "ContactId"];

/// What is told: not the references.
fn told(texts: &[String]) -> impl Iterator<Item = &String> {
    texts.iter().filter(|text| !is_literal(text))
}

/// A reference of the flow language that stands where its value should.
fn is_literal(text: &str) -> bool {
    text.starts_with("$.")
}

impl FlowReference {
    /// As much of it as is shown.
    fn shown(text: &str) -> Self {
        let letters = text.trim_start_matches("$.").chars();
        let letters = letters.take_while(|c| c.is_ascii_alphabetic() || *c == '.').take(REFERENCE_MAX);
        Self(format!("$.{}", letters.collect::<String>()))
    }
}

impl fmt::Display for FlowReference {
    /// What happened and what to do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(path) = self;
        write!(
            f,
            "the flow sent `{path}` as text: in its transfer block set the field dynamically, and choose it as a system attribute"
        )
    }
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
            assert_eq!(unknown(&[header]), Some(Literal), "{header:?}");
        }
        assert_eq!(read(&[("User-to-User", "$.InstanceARN"), (initial, "c1")], None), Ok(Some("c1".into())));
        assert_eq!(read(&[(initial, "c1"), (initial, "c1")], None), Ok(Some("c1".into())));
    }

    #[test]
    fn another_account_is_refused_too() {
        let account = "X-Amzn-SourceAccount";
        assert_eq!(read(&[(account, "111122223333")], None), Ok(None));
        assert_eq!(read(&[(account, "111122223334")], None), Err(ForeignInstance));
        assert_eq!(read(&[("X-Amzn-SourceArn", ARN), (account, "999999999999")], None), Err(ForeignInstance));
        assert_eq!(read(&[(account, "111122223333"), ("x-amzn-sourceaccount", "1")], None), Err(ForeignInstance));
        assert_eq!(read(&[(account, "$.Account")], None), Ok(None), "that tells none");
    }

    /// In every place and in both encodings; what another header tells is believed all the same.
    #[test]
    fn a_reference_that_was_sent_as_text_is_told_as_one() {
        let initial = "X-Amzn-ConnectInitialContactId";
        let tenant = ARN.parse().expect("good");
        let sent = |headers: &[(&str, &str)]| {
            let read =
                ContactReference::from_headers(headers.iter().copied(), Some("X-Mine"), &tenant).expect("served");
            if headers.iter().all(|(name, _)| *name != "X-Mine") {
                assert_eq!(read.sent_as_text, sent_as_text(headers.iter().copied()), "of a call that is refused too");
            }
            (read.initial_contact_id, read.sent_as_text.map(|reference| reference.to_string()))
        };
        let advice = |path: &str| {
            format!(
                "the flow sent `{path}` as text: in its transfer block set the field dynamically, and choose it as a system attribute"
            )
        };
        let encoded = hex("$.InstanceARN");
        let json = r#"{"i":"$.InstanceARN","c":"c1"}"#;
        for (header, contact) in [
            (("User-to-User", "$.InstanceARN"), None),
            (("User-to-User", encoded.as_str()), None),
            (("User-to-User", &format!("{encoded};encoding=hex")), None),
            (("User-to-User", json), Some("c1".to_owned())),
            (("User-to-User", &format!("{};encoding=hex", hex(json))), Some("c1".to_owned())),
            (("X-Amzn-SourceArn", &encoded), None),
            (("X-Mine", "$.InstanceARN"), None),
            (("X-Mine", &encoded), None),
        ] {
            assert_eq!(sent(&[header]), (contact, Some(advice("$.InstanceARN"))), "{header:?}");
            assert_eq!(sent(&[header, (initial, "c1")]), (Some("c1".into()), Some(advice("$.InstanceARN"))));
        }
        assert_eq!(sent(&[(initial, "c1"), ("User-to-User", ARN)]), (Some("c1".into()), None));
        let odd = format!("$.{}<b>4111", "Attributes.".repeat(20));
        let (_, told) = sent(&[("User-to-User", &odd)]);
        let told = told.expect("a reference");
        assert!(!told.contains(['<', '4']) && told.len() < 200, "no more of it than is a path: {told}");
    }

    #[test]
    fn a_call_names_one_instance_or_none() {
        let named = |headers: &[(&str, &str)]| named_instance(headers.iter().copied()).map(|arn| arn.key());
        let other = ARN.replace("abc", "other");
        let json = format!("{};encoding=hex", hex(&format!(r#"{{"i":"{other}"}}"#)));
        let (own, others) = (Some("111122223333/eu-west-2/abc".into()), Some("111122223333/eu-west-2/other".into()));
        let (source, user) = ("x-amzn-sourcearn", "User-to-User");
        assert_eq!(named(&[(source, ARN)]), own);
        assert_eq!(named(&[(user, &hex(ARN))]), own);
        assert_eq!(named(&[(user, &json)]), others);
        assert_eq!(named(&[(user, &json), (source, ARN)]), own, "what Amazon says goes first");
        assert_eq!(named(&[(user, &other), (source, "$.InstanceARN")]), others);
        for none in [
            &[][..],
            &[(source, ARN), (source, &other)],
            &[(source, ARN), (source, "garbage")],
            &[(source, "garbage"), (user, ARN)],
            &[(user, ARN), (user, &json)],
            &[(user, "$.InstanceARN")],
        ] {
            assert_eq!(named(none), None, "{none:?}");
        }
    }
}
