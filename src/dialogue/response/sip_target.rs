//! `transfer_info.target.service_desk.sip`: hand the caller over by SIP; and headers that authors put on requests.

use serde_json::Value;

/// The header that names the target in a BYE, where the author names none.
pub(crate) const TRANSFER_TARGET: &str = "Transfer-Target";

/// A transfer by SIP.
#[derive(Clone, PartialEq, Eq)]
pub struct SipTarget {
    /// A SIP or tel URI; may be missing where the method is [`TransferMethod::Hangup`].
    pub uri: Option<String>,
    /// Whether by REFER or by the headers of our BYE.
    pub method: TransferMethod,
    /// Names and values that go along.
    pub headers: Vec<(String, String)>,
}

impl std::fmt::Debug for SipTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SipTarget({:?})", self.method)
    }
}

/// How a caller is handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransferMethod {
    /// REFER.
    Refer(HeadersBy),
    /// BYE, with the target in a header of this name: whoever sent us the call sends it on.
    Hangup {
        /// The header of the BYE that carries the target.
        target_header: String,
    },
}

/// `transfer_headers_send_method`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HeadersBy {
    /// `custom_header`: as headers of the REFER.
    #[default]
    Custom,
    /// `contact_header`: as URI headers of Contact.
    Contact,
    /// `refer_to_header`: as `?name=value` of the Refer-To URI.
    ReferTo,
}

/// Reads the target; `None` if there is none, or it says nothing that could be done.
pub(super) fn read(item: &Value) -> Option<SipTarget> {
    let target = item.pointer("/transfer_info/target/service_desk/sip")?;
    let text = |key: &str| target.get(key).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
    // Authors must escape `@`, and the escape reaches us.
    let uri = text("uri").map(|uri| uri.replace("\\@", "@"));
    let method = match text("transfer_method") {
        Some("hangup") => TransferMethod::Hangup {
            target_header: text("transfer_target_header").unwrap_or(TRANSFER_TARGET).to_owned(),
        },
        _ => TransferMethod::Refer(match text("transfer_headers_send_method") {
            Some("contact_header") => HeadersBy::Contact,
            Some("refer_to_header") => HeadersBy::ReferTo,
            _ => HeadersBy::Custom,
        }),
    };
    let possible = uri.is_some() || matches!(method, TransferMethod::Hangup { .. });
    possible.then(|| SipTarget { uri, method, headers: headers(target.get("transfer_headers")) })
}

/// `[{name, value}]`; what is not like that is left out.
pub(super) fn headers(list: Option<&Value>) -> Vec<(String, String)> {
    let pair = |item: &Value| {
        let text = |key: &str| item.get(key).and_then(Value::as_str).map(str::to_owned);
        Some((text("name")?, text("value")?))
    };
    list.and_then(Value::as_array).map(|list| list.iter().filter_map(pair).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn target(sip: Value) -> Option<SipTarget> {
        read(&json!({"transfer_info": {"target": {"service_desk": {"sip": sip}}}}))
    }

    #[test]
    fn every_method_is_read_with_its_defaults() {
        let refer = target(json!({"uri": "sip:+1800\\@pbx", "transfer_headers": [{"name": "X-A", "value": "1"}, 7]}));
        let refer = refer.expect("a target");
        assert_eq!(refer.uri.as_deref(), Some("sip:+1800@pbx"));
        assert_eq!(refer.method, TransferMethod::Refer(HeadersBy::Custom));
        assert_eq!(refer.headers, [("X-A".to_owned(), "1".to_owned())]);
        for (by, expected) in [("contact_header", HeadersBy::Contact), ("refer_to_header", HeadersBy::ReferTo)] {
            let read = target(json!({"uri": "tel:1", "transfer_headers_send_method": by})).expect("a target");
            assert_eq!(read.method, TransferMethod::Refer(expected));
        }
        let hangup = target(json!({"transfer_method": "hangup"})).expect("needs no target");
        assert_eq!(hangup.method, TransferMethod::Hangup { target_header: "Transfer-Target".into() });
        assert_eq!(target(json!({})), None);
        assert_eq!(read(&json!({"transfer_info": {"target": {"amazon_connect": {}}}})), None);
    }
}
