//! Who is this contact? Read from the headers of the INVITE that Amazon Connect's transfer block sends.
//!
//! Order of belief for the contact id: the tenant's configured header, `X-Amzn-ConnectInitialContactId`,
//! `X-Amzn-ConnectContactId`, JSON in User-to-User (RFC 7433). UpdateContactAttributes wants the *initial* contact id.
//! Invariant: an instance ARN that is present and not the tenant's is never overlooked.

use serde_json::Value;

use crate::arn::InstanceArn;

/// The contact a call belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactReference {
    /// The initial contact id, 1 to 256 characters; `None` when no header told it.
    pub initial_contact_id: Option<String>,
}

/// Why an INVITE must be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the call comes from another Amazon Connect instance than the tenant's")]
pub struct ForeignInstance;

impl ContactReference {
    /// Reads the headers. `headers` yields name and value in wire order; `configured` is the tenant's own header name.
    pub fn from_headers<'a>(
        headers: impl Iterator<Item = (&'a str, &'a str)> + Clone,
        configured: Option<&str>,
        tenant: &InstanceArn,
    ) -> Result<Self, ForeignInstance> {
        let header = |name: &str| {
            headers.clone().find(|(n, v)| n.eq_ignore_ascii_case(name) && !v.trim().is_empty()).map(|(_, v)| v.trim())
        };
        let user_to_user: Vec<String> = headers
            .clone()
            .filter(|(name, _)| name.eq_ignore_ascii_case("User-to-User"))
            .flat_map(|(_, value)| value.split(',').map(decode_user_to_user).collect::<Vec<_>>())
            .collect();
        // A value with commas in it (raw JSON) is read whole as well.
        let whole = headers
            .clone()
            .filter(|(n, _)| n.eq_ignore_ascii_case("User-to-User"))
            .map(|(_, v)| decode_user_to_user(v));
        let user_to_user: Vec<String> = user_to_user.into_iter().chain(whole).collect();
        let json: Vec<Value> = user_to_user.iter().filter_map(|text| serde_json::from_str(text).ok()).collect();

        let stated = header("X-Amzn-SourceArn").map(str::to_owned);
        let in_json =
            json.iter().filter_map(|value| text_of(value, &["i", "instanceArn", "instanceARN", "InstanceARN"]));
        let raw = user_to_user.iter().filter(|text| text.starts_with("arn:")).cloned();
        for arn in stated.into_iter().chain(in_json).chain(raw) {
            match arn.parse::<InstanceArn>() {
                Ok(arn) if arn == *tenant => {}
                _ => return Err(ForeignInstance),
            }
        }
        let id = configured
            .and_then(&header)
            .or_else(|| header("X-Amzn-ConnectInitialContactId"))
            .or_else(|| header("X-Amzn-ConnectContactId"))
            .map(str::to_owned)
            .or_else(|| {
                let names = ["ic", "initialContactId", "InitialContactId", "c", "contactId", "ContactId"];
                json.iter().find_map(|value| text_of(value, &names))
            });
        Ok(Self { initial_contact_id: id.filter(|id| (1..=256).contains(&id.len())) })
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
    }
}
