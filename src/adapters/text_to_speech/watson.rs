//! `watson`: IBM Watson Text to Speech over HTTP, at the line's own rate and coding.
//!
//! A request has a deadline of [`DEADLINE`]; what the assistant configures (`voice`, `rate_percentage` …) goes over what the
//! tenant configured. Invariant: no more than [`TEXT_MAX`] bytes are sent, and no more than [`AUDIO_MAX`] taken.

use std::time::Duration;

use bellhop_dialogue::ports::{Fields, Pending, ServiceFailure, Speech, SpeechRequest, Synthesizer};
use bellhop_media::g711::Law;
use serde_json::json;

use crate::http;
use crate::iam::Authentication;

/// Most bytes of a text, markup included.
pub const TEXT_MAX: usize = 5 * 1024;
/// The longest a text may take.
pub const DEADLINE: Duration = Duration::from_secs(7);
/// Most bytes of audio: five minutes at 16 kHz.
pub const AUDIO_MAX: usize = 5 * 60 * 32_000;
/// What to look at when it refuses.
const HINTS: [(u16, &str); 4] = [
    (400, "it did not accept the text or the voice"),
    (401, "check the API key"),
    (403, "check the API key"),
    (404, "check the URL"),
];
/// What goes into the query.
const QUERY_PARAMETERS: [&str; 5] =
    ["voice", "customization_id", "rate_percentage", "pitch_percentage", "spell_out_mode"];

/// The service, as one tenant uses it.
#[derive(Clone)]
pub struct WatsonTextToSpeech {
    client: reqwest::Client,
    url: String,
    parameters: Fields,
    authentication: Authentication,
}

impl WatsonTextToSpeech {
    /// The service at `https://api.{location}.text-to-speech.watson.cloud.ibm.com/instances/{id}`.
    pub fn new(url: &str, parameters: Fields, authentication: Authentication) -> Self {
        let client = http::builder().timeout(DEADLINE).build().expect("the client is made of constants");
        Self { client, url: url.trim_end_matches('/').to_owned(), parameters, authentication }
    }

    async fn speak(&self, request: SpeechRequest) -> Result<Speech, ServiceFailure> {
        let failed = |why: String| ServiceFailure::Unavailable { why };
        let text = marked_up(&request.text);
        if text.len() > TEXT_MAX {
            return Err(failed(format!("the text has more than {TEXT_MAX} bytes")));
        }
        let mut parameters = self.parameters.clone();
        parameters.extend(request.parameters);
        let given = QUERY_PARAMETERS.iter().filter_map(|name| Some((*name, parameters.get(*name)?)));
        let written =
            given.map(|(name, value)| (name, value.as_str().map_or_else(|| value.to_string(), str::to_owned)));
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(written).finish();
        let wide = request.line_rate > 8000;
        let accept = if wide { "audio/l16;rate=16000" } else { "audio/mulaw;rate=8000" };
        let token = self.authentication.token().await?;
        let post = self.client.post(format!("{}/v1/synthesize?{query}", self.url)).bearer_auth(token);
        let post = post.header("Content-Type", "application/json").header("Accept", accept);
        let response =
            post.body(json!({"text": text}).to_string()).send().await.map_err(|error| http::failure(&error))?;
        let response = http::accepted(response, &HINTS)?;
        let transaction = http::transaction(&response);
        let bytes = http::body(response, AUDIO_MAX).await?;
        let samples: Vec<i16> = if wide {
            bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
        } else {
            bytes.iter().map(|code| Law::Mu.decode(*code)).collect()
        };
        if samples.is_empty() {
            return Err(failed("it gave no audio".to_owned()));
        }
        let mut speech = Speech::new(samples, if wide { 16_000 } else { 8000 });
        speech.origin.transaction = transaction;
        Ok(speech)
    }
}

impl Synthesizer for WatsonTextToSpeech {
    fn synthesize(&self, request: SpeechRequest) -> Pending<Result<Speech, ServiceFailure>> {
        let this = self.clone();
        Box::pin(async move { this.speak(request).await })
    }
}

/// Texts are read as markup: what is none has to be escaped, what is some has to be left.
fn marked_up(text: &str) -> String {
    let tag = |rest: &str| {
        let inside = rest.find('>').map(|end| &rest[1..end]);
        inside.is_some_and(|inside| inside.starts_with(|c: char| c.is_ascii_alphabetic() || "/!?".contains(c)))
    };
    let entity = |rest: &str| {
        let name = rest.find(';').map(|end| &rest[1..end]);
        name.is_some_and(|name| {
            !name.is_empty() && name.len() < 9 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '#')
        })
    };
    let mut out = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        match c {
            '<' if !tag(&text[at..]) => out.push_str("&lt;"),
            '&' if !entity(&text[at..]) => out.push_str("&amp;"),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Answer, serve};

    async fn spoken(line_rate: u32, answer: Answer) -> (Result<Speech, ServiceFailure>, String) {
        let (url, requests) = serve(vec![answer]).await;
        let tenant = json!({"voice": "en-US_MichaelV3Voice", "rate_percentage": 5});
        let tenant = tenant.as_object().cloned().unwrap_or_default();
        let service = WatsonTextToSpeech::new(&url, tenant, Authentication::Bearer("t0ken".into()));
        let voice = json!({"voice": "de-DE_BirgitV3Voice", "unknown": 1}).as_object().cloned().unwrap_or_default();
        let request = SpeechRequest { parameters: voice, ..SpeechRequest::plain("1 < 2 & 3", line_rate) };
        let speech = service.synthesize(request).await;
        let request = requests.lock().expect("alone").first().cloned().unwrap_or_default();
        (speech, request)
    }

    #[tokio::test]
    async fn a_text_is_spoken_at_the_lines_rate_with_the_assistants_voice() {
        let (speech, request) = spoken(8000, Answer::bytes("audio/mulaw", vec![0xff, 0x80])).await;
        assert_eq!(&speech.expect("speech").samples[..], &[0, 32_124]);
        assert!(request.starts_with("POST /v1/synthesize?voice=de-DE_BirgitV3Voice&rate_percentage=5 "), "{request}");
        let head = request.to_ascii_lowercase();
        assert!(head.contains("accept: audio/mulaw;rate=8000") && head.contains("authorization: bearer t0ken"));
        assert!(request.ends_with(r#"{"text":"1 &lt; 2 &amp; 3"}"#), "{request}");
        let (speech, _) = spoken(16_000, Answer::bytes("audio/l16", vec![1, 0, 0xff, 0xff])).await;
        let speech = speech.expect("speech");
        assert_eq!((&speech.samples[..], speech.sample_rate), (&[1, -1][..], 16_000));
    }

    #[tokio::test]
    async fn failures_say_what_to_look_at() {
        for (answer, hint) in [
            (Answer::json(401, &json!({})), "API key"),
            (Answer::json(400, &json!({"error": "1 < 2"})), "voice"),
            (Answer::bytes("audio/mulaw", vec![]), "no audio"),
        ] {
            let (speech, _) = spoken(8000, answer).await;
            let Err(ServiceFailure::Unavailable { why }) = speech else { panic!("a failure") };
            assert!(why.contains(hint) && !why.contains("1 <"), "{why}");
        }
    }

    #[test]
    fn markup_is_left_and_what_is_none_is_escaped() {
        assert_eq!(
            marked_up("<speak>a<break time='1s'/> &amp; b</speak>"),
            "<speak>a<break time='1s'/> &amp; b</speak>"
        );
        assert_eq!(marked_up("a < b && c > d; AT&T"), "a &lt; b &amp;&amp; c > d; AT&amp;T");
    }
}
