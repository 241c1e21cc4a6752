//! `end_session`: hang up after everything before it was spoken.

use serde_json::Value;

use super::{Response, sip_target};

/// `channel_options.voice_telephony.sip.headers` go on the BYE.
pub(super) fn read(item: &Value) -> Response {
    let headers = sip_target::headers(item.pointer("/channel_options/voice_telephony/sip/headers"));
    Response::EndSession { headers }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn its_headers_are_read() {
        let item = json!({"response_type": "end_session",
            "channel_options": {"voice_telephony": {"sip": {"headers": [{"name": "X-Why", "value": "done"}]}}}});
        assert_eq!(read(&item), Response::EndSession { headers: vec![("X-Why".into(), "done".into())] });
        assert_eq!(read(&json!({})), Response::EndSession { headers: vec![] });
    }
}
