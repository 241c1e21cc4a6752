//! Replies that come piece by piece: server-sent events, or a JSON object a line.
//!
//! Invariant: what was handed over as a part is not in the reply that ends the stream; what ends it is authoritative for
//! everything else.

use bellhop_dialogue::ports::{Part, PartSink, ServiceFailure, TurnReply};
use bellhop_dialogue::sentences::Sentences;
use serde_json::{Value, json};

use crate::http;

/// Most bytes of a reply.
pub(super) const BYTES_MAX: usize = 1024 * 1024;

/// Calls back with every object of a stream until it says that it has enough, or the stream ends.
pub(super) async fn each_object(
    mut response: reqwest::Response,
    mut take: impl FnMut(Value) -> bool,
) -> Result<(), ServiceFailure> {
    let (mut buffer, mut total) = (Vec::new(), 0);
    loop {
        let chunk = response.chunk().await.map_err(|error| http::failure(&error))?;
        let ended = chunk.is_none();
        let chunk = chunk.unwrap_or_default();
        total += chunk.len();
        if total > BYTES_MAX {
            return Err(ServiceFailure::Unavailable { why: format!("its reply has more than {BYTES_MAX} bytes") });
        }
        buffer.extend_from_slice(&chunk);
        if ended {
            buffer.push(b'\n');
        }
        while let Some(at) = buffer.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = buffer.drain(..=at).collect();
            let line = String::from_utf8_lossy(&line);
            let line = line.trim();
            let data = line.strip_prefix("data:").map_or(line, str::trim_start);
            // Comments, names of events and the end mark of some services are no objects.
            if let Ok(object @ Value::Object(_)) = serde_json::from_str(data)
                && take(object)
            {
                return Ok(());
            }
        }
        if ended {
            return Ok(());
        }
    }
}

/// Puts a reply together from what a stream of this family says.
pub(super) struct Assembly {
    parts: PartSink,
    sentences: Sentences,
    /// The text that is being spoken piece by piece.
    spoken: String,
    /// Items that were handed over whole.
    handed_over: usize,
    reply: Option<Value>,
}

impl Assembly {
    pub(super) fn new(parts: PartSink) -> Self {
        Self { parts, sentences: Sentences::default(), spoken: String::new(), handed_over: 0, reply: None }
    }

    /// Takes an object; `true` once the reply is complete.
    pub(super) fn take(&mut self, object: Value) -> bool {
        if let Some(item) = object.get("partial_item") {
            self.partial(item);
        } else if let Some(item) = object.get("complete_item").or_else(|| object.get("item")) {
            self.complete(item);
        } else if let Some(reply) = object.get("final_response") {
            self.reply = Some(reply.clone());
        } else if object.get("output").is_some() {
            // Of a reply of this form the items before are not repeated.
            self.handed_over = 0;
            self.reply = Some(object);
        }
        self.reply.is_some()
    }

    fn say(&self, sentences: impl IntoIterator<Item = String>) {
        sentences.into_iter().for_each(|text| (self.parts)(Part::Item(json!({"response_type": "text", "text": text}))));
    }

    /// Some services send what is new, some all there is so far.
    fn partial(&mut self, item: &Value) {
        let text = item.get("text").and_then(Value::as_str).unwrap_or_default();
        let new =
            text.strip_prefix(self.spoken.as_str()).filter(|_| !self.spoken.is_empty()).unwrap_or(text).to_owned();
        self.spoken.push_str(&new);
        let complete = self.sentences.push(&new);
        self.say(complete);
    }

    fn complete(&mut self, item: &Value) {
        self.handed_over += 1;
        let spoken = std::mem::take(&mut self.spoken);
        if spoken.is_empty() {
            return (self.parts)(Part::Item(item.clone()));
        }
        // What the pieces did not have.
        let text = item.get("text").and_then(Value::as_str).unwrap_or_default();
        let mut left = self.sentences.push(text.strip_prefix(spoken.as_str()).unwrap_or_default());
        left.extend(self.sentences.finish());
        self.say(left);
    }

    pub(super) fn finish(mut self) -> Result<TurnReply, ServiceFailure> {
        let rest = self.sentences.finish();
        self.say(rest);
        let broken = || ServiceFailure::Unavailable { why: "its reply broke off".to_owned() };
        let mut reply = TurnReply::from_message(self.reply.ok_or_else(broken)?);
        reply.generic.drain(..self.handed_over.min(reply.generic.len()));
        Ok(reply)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    fn assembled(objects: &[Value]) -> (Vec<String>, Option<TurnReply>) {
        let heard = Arc::new(Mutex::new(vec![]));
        let sink = Arc::clone(&heard);
        let mut assembly = Assembly::new(Box::new(move |part| {
            let Part::Item(item) = part else { return };
            sink.lock().expect("alone").push(item["text"].as_str().unwrap_or("?").to_owned());
        }));
        objects.iter().any(|object| assembly.take(object.clone()));
        let reply = assembly.finish().ok();
        (Arc::try_unwrap(heard).expect("alone").into_inner().expect("alone"), reply)
    }

    fn partial(text: &str) -> Value {
        json!({"partial_item": {"response_type": "text", "text": text, "streaming_metadata": {"id": 1}}})
    }

    #[test]
    fn sentences_are_handed_over_as_they_come_and_once() {
        let complete =
            json!({"complete_item": {"response_type": "text", "text": "We open at nine. We close at five."}});
        let last = json!({"response_type": "end_session"});
        let end =
            json!({"final_response": {"output": {"generic": [complete["complete_item"], last]}, "context": {"a": 1}}});
        for pieces in [
            ["We open at", " nine. We close", " at five."],
            ["We open at", "We open at nine. We", "We open at nine. We close at five."],
        ] {
            let mut objects: Vec<Value> = pieces.iter().map(|piece| partial(piece)).collect();
            objects.extend([complete.clone(), end.clone()]);
            let (heard, reply) = assembled(&objects);
            assert_eq!(heard, ["We open at nine.", "We close at five."]);
            let reply = reply.expect("complete");
            assert_eq!((reply.generic, reply.context), (vec![last.clone()], json!({"a": 1})));
        }
    }

    #[test]
    fn a_stream_without_its_end_is_a_failure() {
        let (heard, reply) = assembled(&[partial("We open at nine. And")]);
        assert_eq!(heard, ["We open at nine.", "And"]);
        assert!(reply.is_none());
    }
}
