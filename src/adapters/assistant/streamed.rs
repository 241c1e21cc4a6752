//! Replies that come piece by piece: server-sent events, or JSON objects one after the other.
//!
//! Invariant: what was handed over as a part is not in the reply that ends the stream; what ends it is authoritative for
//! everything else. A stream that is at its end is read to its last byte if that comes soon, so that its connection can be
//! used again.

use std::collections::VecDeque;
use std::time::Duration;

use bellhop_dialogue::ports::{PartSink, ServiceFailure, TurnReply};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::event_stream::{EventStream, Said, VALUE_BYTES_MAX};
use super::shape;
use super::spoken::Spoken;
use crate::http;

/// Most bytes of a reply.
pub(super) const REPLY_BYTES_MAX: usize = 1024 * 1024;
/// How long the end of a stream is waited for that has said everything.
const DRAIN_MAX: Duration = Duration::from_millis(250);
/// Most bytes of that end that are read.
const DRAIN_BYTES_MAX: usize = 64 * 1024;
/// From so many characters on, a piece that begins with all the pieces before is no coincidence.
const REPEATED_MIN: usize = 8;

/// The values of a body, as they come.
pub(super) struct Values {
    response: reqwest::Response,
    stream: EventStream,
    ready: VecDeque<Said>,
    total: usize,
    bytes_max: usize,
    ended: bool,
}

/// What came next.
pub(super) enum Next {
    /// A JSON object or array.
    Value(Value),
    /// The service says that it is done.
    Done,
    /// The body is at its end.
    End,
}

impl Values {
    /// The values of a response of at most so many bytes.
    pub(super) fn new(response: reqwest::Response, bytes_max: usize) -> Self {
        Self { response, stream: EventStream::default(), ready: VecDeque::new(), total: 0, bytes_max, ended: false }
    }

    /// Waits for what comes next; nothing is lost if the waiting is given up.
    pub(super) async fn next(&mut self) -> Result<Next, ServiceFailure> {
        loop {
            match self.ready.pop_front() {
                Some(Said::Value(value)) => return Ok(Next::Value(value)),
                Some(Said::Done) => return Ok(Next::Done),
                Some(Said::TooLong) => return Err(too_long(VALUE_BYTES_MAX)),
                None if self.ended => return Ok(Next::End),
                None => {}
            }
            let chunk = self.response.chunk().await.map_err(|error| http::failure(&error))?;
            let said = match &chunk {
                Some(chunk) => self.stream.push(chunk),
                None => self.stream.finish(),
            };
            self.ended = chunk.is_none();
            self.total += chunk.map_or(0, |chunk| chunk.len());
            if self.total > self.bytes_max {
                return Err(too_long(self.bytes_max));
            }
            self.ready.extend(said);
        }
    }

    /// Reads what is left of a stream that has said everything: then its connection is free again.
    pub(super) async fn drain(mut self) {
        let rest = async {
            let mut total = 0;
            while let Ok(Some(chunk)) = self.response.chunk().await {
                total += chunk.len();
                if total > DRAIN_BYTES_MAX {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(DRAIN_MAX, rest).await;
    }
}

fn too_long(bytes: usize) -> ServiceFailure {
    ServiceFailure::Unavailable { why: format!("its reply has more than {bytes} bytes") }
}

/// Reads a reply of this family to its end.
pub(super) async fn assembled(response: reqwest::Response, parts: PartSink) -> Result<TurnReply, ServiceFailure> {
    let mut assembly = Assembly::new(parts);
    let mut values = Values::new(response, REPLY_BYTES_MAX);
    loop {
        let next = match assembly.spoken.deadline() {
            None => values.next().await?,
            Some(at) => match tokio::time::timeout_at(at, values.next()).await {
                Ok(next) => next?,
                Err(_) => {
                    assembly.spoken.hurry(Instant::now());
                    continue;
                }
            },
        };
        match next {
            Next::Value(value) => {
                if assembly.take(value) {
                    values.drain().await;
                    return assembly.finish();
                }
            }
            Next::Done => {}
            Next::End => return assembly.finish(),
        }
    }
}

/// Puts a reply together from what a stream of this family says.
pub(super) struct Assembly {
    spoken: Spoken,
    pieces: Pieces,
    /// Items that were handed over whole.
    handed_over: usize,
    reply: Option<Value>,
    /// What came that is nothing of a reply.
    foreign: Option<Value>,
    /// An item that is none.
    misshapen: Option<ServiceFailure>,
}

impl Assembly {
    pub(super) fn new(parts: PartSink) -> Self {
        let spoken = Spoken::new(parts, |text| text.trim().to_owned());
        Self { spoken, pieces: Pieces::default(), handed_over: 0, reply: None, foreign: None, misshapen: None }
    }

    /// Takes a value; `true` once the reply is complete.
    pub(super) fn take(&mut self, object: Value) -> bool {
        if let Some(item) = object.get("partial_item") {
            let new = self.pieces.push(item.get("text").and_then(Value::as_str).unwrap_or_default());
            self.spoken.hear(Instant::now(), &new);
        } else if let Some(item) = object.get("complete_item").or_else(|| object.get("item")) {
            self.complete(item);
        } else if let Some(reply) = object.get("final_response") {
            self.reply = Some(reply.clone());
        } else if object.get("output").is_some() {
            // Of a reply of this form the items before are not repeated.
            self.handed_over = 0;
            self.reply = Some(object);
        } else if object.get("response_type").is_some() {
            self.complete(&object);
        } else if let Some(text) = object.get("text").and_then(Value::as_str) {
            self.complete(&json!({"response_type": "text", "text": text}));
        } else {
            // An empty object says that more comes.
            self.spoken.alive(Instant::now());
            if object.as_object().is_none_or(|fields| !fields.is_empty()) {
                self.foreign.get_or_insert(object);
            }
        }
        self.reply.is_some()
    }

    fn complete(&mut self, item: &Value) {
        if !item.is_object() {
            self.misshapen.get_or_insert_with(|| shape::unexpected("an object as `item`", Some(item)));
            return;
        }
        self.handed_over += 1;
        let pieces = std::mem::take(&mut self.pieces);
        if !pieces.has_begun() {
            return self.spoken.item(item.clone());
        }
        let left = pieces.rest_of(item.get("text").and_then(Value::as_str).unwrap_or_default());
        self.spoken.hear(Instant::now(), &left);
        self.spoken.finish(Instant::now());
    }

    pub(super) fn finish(mut self) -> Result<TurnReply, ServiceFailure> {
        let pieces = std::mem::take(&mut self.pieces);
        let (held, said) = (pieces.held(), pieces.given.clone() + &pieces.held());
        self.spoken.hear(Instant::now(), &held);
        self.spoken.finish(Instant::now());
        if let Some(failure) = self.misshapen {
            return Err(failure);
        }
        let Some(reply) = self.reply else {
            return Err(match self.foreign {
                Some(foreign) => {
                    shape::unexpected("objects with `item`, and one with `output` at last", Some(&foreign))
                }
                None => ServiceFailure::Unavailable { why: "its reply broke off before its last line".to_owned() },
            });
        };
        let mut reply = shape::reply(reply)?;
        reply.generic.drain(..self.handed_over.min(reply.generic.len()));
        // Of an item that came in pieces and was never completed the words were heard all the same.
        let text = |item: &Value| item.get("text").and_then(Value::as_str).map(|text| text.trim().to_owned());
        if !said.trim().is_empty() && reply.generic.first().and_then(text).is_some_and(|text| text == said.trim()) {
            reply.generic.remove(0);
        }
        Ok(reply)
    }
}

/// Pieces of a text. Some services send what is new, some all there is so far; which it is shows once they differ.
#[derive(Default)]
struct Pieces {
    /// Those that came while it was open, or the first alone.
    came: Vec<String>,
    /// What was given of the text.
    given: String,
    kind: PieceKind,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum PieceKind {
    #[default]
    Open,
    New,
    AllSoFar,
}

impl Pieces {
    fn has_begun(&self) -> bool {
        !self.came.is_empty()
    }

    /// What is new with a piece, as far as that is certain.
    fn push(&mut self, piece: &str) -> String {
        if self.kind == PieceKind::Open
            && let Some(last) = self.came.last()
        {
            if !piece.starts_with(last.as_str()) {
                self.kind = PieceKind::New;
            } else if piece.len() > last.len() && piece.chars().count() >= REPEATED_MIN {
                self.kind = PieceKind::AllSoFar;
            }
        }
        let new = match (self.kind, self.came.is_empty()) {
            (PieceKind::Open, true) | (PieceKind::New, _) => self.held() + piece,
            (PieceKind::Open, false) => String::new(),
            (PieceKind::AllSoFar, _) => piece.strip_prefix(self.given.as_str()).unwrap_or_default().to_owned(),
        };
        match self.kind {
            PieceKind::Open => self.came.push(piece.to_owned()),
            PieceKind::New | PieceKind::AllSoFar => self.came.truncate(1),
        }
        self.given.push_str(&new);
        new
    }

    /// What came and was not given, if each piece was new.
    fn held(&self) -> String {
        self.came.iter().skip(1).map(String::as_str).collect()
    }

    /// What was not given of the whole text.
    fn rest_of(&self, text: &str) -> String {
        text.strip_prefix(self.given.as_str()).unwrap_or_default().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellhop_dialogue::ports::Part;
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

    /// `replies.yaml`: deltas that begin alike.
    #[test]
    fn pieces_that_begin_alike_are_all_heard() {
        for (pieces, said) in [
            (vec!["1", "1", " May at ", "nine."], "11 May at nine."),
            (vec!["ha", "ha", "ha", " that is funny."], "hahaha that is funny."),
            (vec!["We open", " at nine", " at nine sharp."], "We open at nine at nine sharp."),
            (vec!["1", "1", "1"], "111"),
            (vec!["W", "We", "We open at", "We open at nine."], "We open at nine."),
            (vec!["Number 1", "1", "1 is it."], "Number 111 is it."),
        ] {
            for is_completed in [true, false] {
                let mut objects: Vec<Value> = pieces.iter().map(|piece| partial(piece)).collect();
                if is_completed {
                    objects.push(json!({"complete_item": {"response_type": "text", "text": said}}));
                }
                objects.push(
                    json!({"final_response": {"output": {"generic": [{"response_type": "text", "text": said}]}}}),
                );
                let (heard, reply) = assembled(&objects);
                assert_eq!(heard.join(" "), said, "{pieces:?}");
                assert!(reply.expect("complete").generic.is_empty(), "what was heard is not said again: {pieces:?}");
            }
        }
    }

    /// `replies.yaml`: the last line of a streamed webhook reply.
    #[test]
    fn the_last_line_of_a_streamed_reply_says_what_the_caller_may_say() {
        let lines = [json!({"text": "Red or blue?"}), json!({"output": {"generic": []}, "phrases": ["red", "blue"]})];
        let (heard, reply) = assembled(&lines);
        let reply = reply.expect("complete");
        assert_eq!((heard, reply.generic.len()), (vec!["Red or blue?".to_owned()], 0));
        assert_eq!(reply.phrases.as_deref(), Some(&["red".to_owned(), "blue".to_owned()][..]));
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
    fn an_item_that_is_none_is_told_and_not_mistaken_for_silence() {
        for item in [json!("hello"), json!(null), json!(["hello"]), json!(7)] {
            let (_, reply) = assembled(&[json!({"item": item}), json!({"output": {"generic": []}})]);
            assert!(reply.is_none(), "{item}");
        }
    }

    #[test]
    fn a_stream_without_its_end_is_a_failure() {
        let (heard, reply) = assembled(&[partial("We open at nine. And")]);
        assert_eq!(heard, ["We open at nine.", "And"]);
        assert!(reply.is_none());
    }
}
