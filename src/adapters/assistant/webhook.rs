//! `webhook`: anybody's assistant, over a documented turn API (`docs/webhook-assistant.md`).
//!
//! A turn is one POST with the message as JSON, signed by HMAC-SHA256 over time stamp and body. The answer is JSON, or a
//! stream of JSON lines or server-sent events whose items are spoken as they come. Invariant: the secret leaves this file
//! only as a signature; a retried turn has the same turn number.

use std::time::SystemTime;

use bellhop_dialogue::ports::{Assistant, Origin, PartSink, Pending, ServiceFailure, TurnReply, TurnRequest};
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use super::shape;
use super::streamed::{REPLY_BYTES_MAX, assembled};
use crate::http;
use crate::reach::Endpoint;

/// The header with the seconds since 1970 that the signature covers.
pub(crate) const TIMESTAMP: &str = "X-Bellhop-Timestamp";
/// The header with the signature: `v1=` and lower-case hex.
pub(crate) const SIGNATURE: &str = "X-Bellhop-Signature";

/// Somebody's assistant.
#[derive(Clone)]
pub struct Webhook {
    client: reqwest::Client,
    url: reqwest::Url,
    tenant: String,
    secret: Vec<u8>,
}

impl Webhook {
    /// An assistant at a URL, or why that is none.
    pub fn new(url: impl Into<Endpoint>, tenant: &str, secret: &str) -> Result<Self, String> {
        let endpoint = url.into();
        let parsed = reqwest::Url::parse(endpoint.url()).map_err(|error| error.to_string())?;
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err("does not begin with http:// or https://".to_owned());
        }
        let client =
            http::builder(endpoint.reach()).timeout(super::TURN_MAX).build().expect("the client is made of constants");
        Ok(Self { client, url: parsed, tenant: tenant.to_owned(), secret: secret.as_bytes().to_vec() })
    }

    async fn ask(&self, request: TurnRequest, parts: PartSink) -> Result<TurnReply, ServiceFailure> {
        let Value::Object(mut message) = request.message() else { return Ok(TurnReply::default()) };
        let conversation = request.context.pointer("/integrations/voice_telephony/sip_call_id");
        message.insert("version".to_owned(), json!(1));
        message.insert("tenant".to_owned(), json!(self.tenant));
        message.insert("conversation".to_owned(), conversation.cloned().unwrap_or_default());
        message.insert("turn".to_owned(), json!({"number": request.number, "type": request.input.label()}));
        let body = Value::Object(message).to_string();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs().to_string();
        let response = self
            .client
            .post(self.url.clone())
            .header("Content-Type", "application/json")
            .header("Accept", "application/json, application/x-ndjson, text/event-stream")
            .header(TIMESTAMP, &now)
            .header(SIGNATURE, sign(&self.secret, &now, body.as_bytes()))
            .body(body)
            .send()
            .await
            .map_err(|error| http::failure(&error))?;
        let response = http::accepted(response, &[])?;
        let origin = Origin { transaction: http::transaction(&response), ..Origin::default() };
        let content_type = response.headers().get("Content-Type").and_then(|value| value.to_str().ok());
        let content_type = content_type.unwrap_or_default().to_ascii_lowercase();
        if ["ndjson", "jsonl", "json-seq", "event-stream"].iter().any(|stream| content_type.contains(stream)) {
            return Ok(TurnReply { origin, ..assembled(response, parts).await? });
        }
        Ok(TurnReply { origin, ..shape::reply(http::json(response, REPLY_BYTES_MAX).await?)? })
    }
}

/// `v1=` and the HMAC-SHA256 of time stamp, full stop and body.
pub fn sign(secret: &[u8], timestamp: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("any length is a key");
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(body);
    let digest = mac.finalize().into_bytes();
    format!("v1={}", digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

impl Assistant for Webhook {
    fn turn(&self, request: TurnRequest, parts: PartSink) -> Pending<Result<TurnReply, ServiceFailure>> {
        let this = self.clone();
        Box::pin(async move { this.ask(request, parts).await })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Answer, serve};
    use bellhop_dialogue::ports::{Part, TurnInput};
    use std::sync::{Arc, Mutex};

    fn request() -> TurnRequest {
        let context = json!({"integrations": {"voice_telephony": {"sip_call_id": "call-1"}}});
        let input = TurnInput::Speech { text: "hi".into(), confidence: 0.9, result: None };
        TurnRequest::new(3, input, context)
    }

    async fn asked(answer: Answer) -> (Result<TurnReply, ServiceFailure>, Vec<Value>, String) {
        let (url, requests) = serve(vec![answer]).await;
        let parts = Arc::new(Mutex::new(vec![]));
        let sink = Arc::clone(&parts);
        let webhook = Webhook::new(&url, "acme", "s3cret").expect("a URL");
        let reply = webhook
            .turn(
                request(),
                Box::new(move |part| {
                    if let Part::Item(item) = part {
                        sink.lock().expect("alone").push(item);
                    }
                }),
            )
            .await;
        let parts = parts.lock().expect("alone").clone();
        let request = requests.lock().expect("alone").first().cloned().unwrap_or_default();
        (reply, parts, request)
    }

    #[tokio::test]
    async fn a_turn_is_signed_and_answered() {
        let answer = json!({"output": {"generic": [{"response_type": "text", "text": "hello"}]}, "context": {"a": 1}, "phrases": ["yes", "no"]});
        let (reply, _, request) = asked(Answer::json(200, &answer)).await;
        let reply = reply.expect("a reply");
        assert_eq!((reply.generic.len(), reply.context), (1, json!({"a": 1})));
        assert_eq!(reply.phrases.as_deref().map(<[String]>::len), Some(2));
        let (head, body) = request.split_once("\r\n\r\n").expect("a body");
        let header = |name: &str| {
            head.lines()
                .find_map(|line| line.to_ascii_lowercase().strip_prefix(&format!("{name}: ")).map(str::to_owned))
        };
        let at = header("x-bellhop-timestamp").expect("a time stamp");
        assert_eq!(header("x-bellhop-signature"), Some(sign(b"s3cret", &at, body.as_bytes())));
        let body: Value = serde_json::from_str(body).expect("JSON");
        assert_eq!(
            (&body["conversation"], &body["turn"]["number"], &body["input"]["text"]),
            (&json!("call-1"), &json!(3), &json!("hi"))
        );
    }

    #[tokio::test]
    async fn a_streamed_reply_is_handed_over_item_by_item() {
        let lines = "{\"item\": {\"response_type\": \"text\", \"text\": \"one\"}}\n\n{\"output\": {\"generic\": [{\"response_type\": \"end_session\"}]}, \"context\": {\"b\": 2}}\n";
        for (content_type, body) in [
            ("application/x-ndjson", lines.to_owned()),
            ("Application/X-NDJSON; charset=UTF-8", lines.to_owned()),
            (
                "text/event-stream",
                lines.replace("{\"item", "event: item\ndata: {\"item").replace("{\"output", "data:{\"output"),
            ),
        ] {
            let (reply, parts, _) = asked(Answer::new(200, content_type, body)).await;
            let reply = reply.expect("a reply");
            assert_eq!((parts.len(), parts[0]["text"].as_str()), (1, Some("one")), "{content_type}");
            assert_eq!((reply.generic.len(), &reply.context), (1, &json!({"b": 2})));
        }
    }

    #[tokio::test]
    async fn what_is_no_reply_is_a_failure_without_the_words() {
        for answer in [
            Answer::json(500, &json!({})),
            Answer::new(200, "application/json", "<html>".into()),
            Answer::new(200, "application/x-ndjson", "{}\n".into()),
        ] {
            let (reply, ..) = asked(answer).await;
            let Err(ServiceFailure::Unavailable { why }) = reply else { panic!("a failure") };
            assert!(!why.contains("html") && !why.contains("127.0.0.1"), "{why}");
        }
        assert!(Webhook::new("ftp://x", "a", "b").is_err() && Webhook::new("no url", "a", "b").is_err());
    }

    #[test]
    fn the_signature_is_the_documented_one() {
        let expected = "v1=1ba6b8171186efc613e8bcc0cbdab2748f24984d7c5a84faa2637afa0e40d224";
        assert_eq!(sign(b"key", "1", b"{}"), expected);
    }
}
