//! Asks services on behalf of who sets them up: whether they answer, what they offer, what an assistant says.
//!
//! Invariant: what is tried is opened apart from what serves calls, on threads of its own, few at once; each is tried for a bounded time, and an
//! engine that breaks down costs its trial alone. What is told of a service is its own doing: whoever waited too long for this server is told so.
//! How many are tried at once, and of whom, is said where they are asked for.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bellhop_adapters::reach::Reach;
use bellhop_amazon_connect::{Limiters, Tester};
use bellhop_call::line_audio;
use bellhop_connect::connection_test::ConnectionReport;
use bellhop_connect::ports::{ConnectionTester, Pending};
use bellhop_console::ports::{Failed, Fault, Offer, Origin, Reply, Said, Trials};
use bellhop_dialogue::ports::{
    ModelOrVoice, Part, Recognizer, RecognizerConfig, RecognizerEvent, ServiceFailure, SpeechRequest, Synthesizer,
    TurnInput, TurnRequest,
};
use bellhop_tenancy::settings::{Mistake, TenantSettings};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::config::Aws;
use crate::engines::{Choices, EngineMistake, Purpose, Shared, TenantEngines, Whose};
use crate::records;
use crate::wiring::{connection, out_of_reach};

/// Sets of services that are opened at once.
const OPENED_AT_ONCE: usize = 4;
/// How long it may take to open them, waiting for others included.
const OPENED_WITHIN: Duration = Duration::from_secs(8);
/// How long what was opened may take.
const WITHIN: Duration = Duration::from_secs(20);
/// How long a recognizer is listened to that was opened.
const LISTENED_FOR: Duration = Duration::from_secs(1);
/// What a synthesizer is given to say.
const SENTENCE: &str = "One, two, three.";
/// Samples per second of a telephone line.
const LINE_RATE: u32 = 8000;
/// Most responses of an assistant that are shown.
const RESPONSES_MAX: usize = 50;

/// What is the matter, and in a sentence.
type NotGood = (Fault, String);

/// Tries things out.
pub(super) struct TryOut {
    opening: Opening,
    aws: Aws,
    reach: Reach,
    tester: Arc<Tester>,
}

/// What services are opened with that are tried.
#[derive(Clone)]
struct Opening {
    shared: Arc<Mutex<Shared>>,
    places: Arc<Semaphore>,
    reach: Reach,
}

impl TryOut {
    /// Of a node that is this at AWS; what tenants of the database name leads no further than `reach`.
    pub(super) fn new(aws: Aws, reach: Reach) -> Self {
        let tester = Arc::new(Tester::new(&Limiters::default()));
        let opening = Opening { shared: Arc::default(), places: Arc::new(Semaphore::new(OPENED_AT_ONCE)), reach };
        Self { opening, aws, reach, tester }
    }

    /// Opens what settings name and does something with it.
    fn tries<T, F>(
        &self,
        settings: TenantSettings,
        work: impl FnOnce(TenantEngines) -> F + Send + 'static,
    ) -> Pending<Result<T, Failed>>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, NotGood>> + Send,
    {
        let (reach, opening) = (self.reach, self.opening.clone());
        Box::pin(async move {
            within_reach(&settings, reach)?;
            let opened = opening.open(settings);
            let opened = timeout(OPENED_WITHIN, opened).await.unwrap_or(Err(NOT_OPENED));
            let (engines, mistakes) = opened.map_err(Failed::Untried)?;
            if let Some(mistake) = mistakes.into_iter().next() {
                let told = match mistake {
                    EngineMistake::Of(mistake) => mistake.to_string(),
                    EngineMistake::Within { why, .. } => why,
                };
                return Err(Failed::Tried(Fault::Unusable, told));
            }
            let late = |_| Err((Fault::Overdue, format!("it did not answer within {} s", WITHIN.as_secs())));
            let came = timeout(WITHIN, work(engines)).await.unwrap_or_else(late);
            came.map_err(|(fault, told)| Failed::Tried(fault, told))
        })
    }
}

const NOT_OPENED: &str = "this server is busy: what is to be tried could not be opened, ask again";
const BROKEN: &str = "it could not be tried: it broke down while it was opened, as the log of the server tells";

impl Opening {
    /// Opens the services of settings. Who goes away does not make room for another before its thread has ended.
    async fn open(self, settings: TenantSettings) -> Result<(TenantEngines, Vec<EngineMistake>), &'static str> {
        let Self { shared, places, reach } = self;
        let place = places.acquire_owned().await.map_err(|_| NOT_OPENED)?;
        let opened = tokio::task::spawn_blocking(move || {
            let _place = place;
            let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
            // Whoever tried something before is not waited for.
            shared.keep_for(|_| false);
            shared.look_again();
            TenantEngines::open(&mut shared, Whose { settings: &settings, reach }, Purpose::Check)
        });
        opened.await.map_err(|_| BROKEN)
    }
}

/// What is kept was judged when it was sent: an operator may have thought otherwise since.
fn within_reach(settings: &TenantSettings, reach: Reach) -> Result<(), Failed> {
    let far = out_of_reach(settings, reach).next();
    far.map_or(Ok(()), |mistake| Err(Failed::Tried(Fault::Unusable, mistake.to_string())))
}

fn failed(failure: ServiceFailure) -> NotGood {
    let fault = match failure {
        ServiceFailure::Overdue => Fault::Overdue,
        ServiceFailure::Overloaded => Fault::Overloaded,
        ServiceFailure::Unavailable { .. } => Fault::Unavailable,
        ServiceFailure::NotNow { .. } => Fault::NotNow,
    };
    (fault, failure.to_string())
}

fn nothing() -> NotGood {
    (Fault::NothingNamed, "it names no service".to_owned())
}

/// Samples as a file of one channel.
fn wav(samples: &[i16], sample_rate: u32) -> Result<Vec<u8>, hound::Error> {
    let (bits_per_sample, sample_format) = (16, hound::SampleFormat::Int);
    let spec = hound::WavSpec { channels: 1, sample_rate, bits_per_sample, sample_format };
    let mut bytes = std::io::Cursor::new(vec![]);
    let mut writer = hound::WavWriter::new(&mut bytes, spec)?;
    samples.iter().try_for_each(|sample| writer.write_sample(*sample))?;
    writer.finalize()?;
    Ok(bytes.into_inner())
}

async fn speaks(kind: &str, voice: &dyn Synthesizer) -> Result<String, NotGood> {
    let speech = voice.synthesize(SpeechRequest::plain(SENTENCE, LINE_RATE)).await.map_err(failed)?;
    let seconds = speech.samples.len() as f64 / f64::from(speech.sample_rate.max(1));
    match line_audio::linear(&speech.samples).iter().any(|sample| *sample != 0) {
        true => Ok(format!("{kind} made {seconds:.1} s of speech at {} Hz", speech.sample_rate)),
        false => Err((Fault::Silent, format!("{kind} answered, and what it made is silence"))),
    }
}

async fn hears(kind: &str, ears: &dyn Recognizer) -> Result<String, NotGood> {
    let lost = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&lost);
    let sink = Box::new(move |event| {
        if matches!(event, RecognizerEvent::Lost(_) | RecognizerEvent::Reconnecting { .. }) {
            told.store(true, Ordering::Relaxed);
        }
    });
    let config = RecognizerConfig { line_rate: LINE_RATE, ..RecognizerConfig::default() };
    let mut stream = ears.open(config, sink).await.map_err(failed)?;
    let samples = vec![0; ears.sample_rate(LINE_RATE) as usize];
    stream.hear(&samples);
    sleep(LISTENED_FOR).await;
    match lost.load(Ordering::Relaxed) {
        true => Err((Fault::BrokeOff, format!("{kind} was opened, and broke off"))),
        false => Ok(format!("{kind} listens")),
    }
}

impl Trials for TryOut {
    fn service(&self, settings: TenantSettings) -> Pending<Result<String, Failed>> {
        self.tries(settings, |engines| async move {
            let Choices { recognizers, synthesizers } = &engines.choices;
            match (recognizers.first(), synthesizers.first()) {
                (Some((kind, ears)), _) => hears(kind, &**ears).await,
                (None, Some((kind, voice))) => speaks(kind, &**voice).await,
                (None, None) => Err(nothing()),
            }
        })
    }

    fn speech(&self, settings: TenantSettings, text: String) -> Pending<Result<Vec<u8>, Failed>> {
        self.tries(settings, |engines| async move {
            let (_, voice) = engines.choices.synthesizers.first().ok_or_else(nothing)?;
            let speech = voice.synthesize(SpeechRequest::plain(&text, LINE_RATE)).await.map_err(failed)?;
            wav(&line_audio::linear(&speech.samples), speech.sample_rate)
                .map_err(|error| (Fault::Unavailable, error.to_string()))
        })
    }

    fn offers(&self, settings: TenantSettings) -> Pending<Result<Vec<Offer>, Failed>> {
        self.tries(settings, |engines| async move {
            let Choices { recognizers, synthesizers } = &engines.choices;
            let choices = match (recognizers.first(), synthesizers.first()) {
                (Some((_, ears)), _) => ears.models().await,
                (None, Some((_, voice))) => voice.voices().await,
                (None, None) => return Err(nothing()),
            };
            let offer = |ModelOrVoice { name, language, gender, .. }| Offer { name, language, gender };
            Ok(choices.map_err(failed)?.into_iter().map(offer).collect())
        })
    }

    fn assistant(&self, settings: TenantSettings, said: Said, context: Value) -> Pending<Result<Reply, Failed>> {
        self.tries(settings, move |engines| async move {
            let input = match said {
                Said::Words(text) => TurnInput::Speech { text, confidence: 1.0, result: None },
                Said::Digits(digits) => TurnInput::Digits { digits, succeeded: true },
                Said::Silence => TurnInput::PostResponseTimeout,
                Said::Nothing => TurnInput::Start,
            };
            let number = u32::from(!matches!(input, TurnInput::Start));
            let parts = Arc::new(Mutex::new(vec![]));
            let sink = Arc::clone(&parts);
            let part = Box::new(move |part| {
                if let Part::Item(item) = part {
                    let mut all = sink.lock().unwrap_or_else(PoisonError::into_inner);
                    if all.len() < RESPONSES_MAX {
                        all.push(item);
                    }
                }
            });
            let reply = engines.assistant.turn(TurnRequest::new(number, input, context), part).await.map_err(failed)?;
            let mut responses = std::mem::take(&mut *parts.lock().unwrap_or_else(PoisonError::into_inner));
            responses.extend(reply.generic);
            responses.truncate(RESPONSES_MAX);
            Ok(Reply { responses, context: reply.context })
        })
    }

    fn connection(&self, settings: TenantSettings, origin: Origin) -> Pending<Result<ConnectionReport, Vec<Mistake>>> {
        let (tester, aws) = (Arc::clone(&self.tester), self.aws.clone());
        let reach = match origin {
            Origin::File => Reach::Everywhere,
            Origin::Store => self.reach,
        };
        let tested = async move {
            let whose = Whose { settings: &settings, reach };
            let connection = connection(whose, &aws)?.ok_or_else(Vec::new)?;
            let far: Vec<Mistake> =
                out_of_reach(&settings, reach).filter(|far| far.path.starts_with("connect.")).collect();
            if !far.is_empty() {
                return Err(far);
            }
            Ok(tester.test(connection).await)
        };
        Box::pin(tested) as Pin<Box<_>>
    }

    fn log_webhook(&self, settings: TenantSettings) -> Pending<Result<String, Failed>> {
        let reach = self.reach;
        Box::pin(async move {
            within_reach(&settings, reach)?;
            let receiver = records::receiver(Whose { settings: &settings, reach });
            let receiver = receiver.map_err(|mistake| Failed::Tried(Fault::Unusable, mistake.to_string()))?;
            let webhook = receiver.ok_or_else(|| Failed::Tried(Fault::NothingNamed, nothing().1))?;
            let test = format!("test:{:016x}", rand::random::<u64>());
            webhook.test(test).await.map_err(|why| Failed::Tried(Fault::Unavailable, why))
        })
    }
}

#[cfg(test)]
mod tests {
    use bellhop_tenancy::settings::{Alone, Reading, json};

    use super::*;

    fn settings(more: &str) -> TenantSettings {
        let document = format!(r#"{{"name": "acme", "numbers": ["+18005550123"], {more}}}"#);
        Reading::of(&json::read(&document).expect("JSON"), &Alone).settings
    }

    #[actix_rt::test]
    async fn a_voice_speaks_ears_listen_and_an_assistant_replies() {
        let trials = TryOut::new(Aws::default(), Reach::Everywhere);
        let voice = || settings(r#""text_to_speech": {"kind": "flite"}"#);
        let told = trials.service(voice()).await.expect("it speaks");
        assert!(told.starts_with("flite made ") && told.ends_with("Hz"), "{told}");
        let spoken = trials.speech(voice(), "Good day.".into()).await.expect("it speaks");
        let read = hound::WavReader::new(&spoken[..]).expect("a WAV file");
        assert!(read.spec().channels == 1 && read.duration() > 4_000, "{:?} {}", read.spec(), read.duration());
        let offers = trials.offers(voice()).await.expect("voices");
        assert!(offers.iter().any(|offer| offer.name == "slt"), "{offers:?}");
        let told = trials.service(settings(r#""speech_to_text": {"kind": "counting"}"#)).await;
        assert_eq!(told, Ok("counting listens".to_owned()));
        assert_eq!(
            trials.service(settings(r#""language": "en-US""#)).await,
            Err(Failed::Tried(Fault::NothingNamed, nothing().1))
        );
        let script = "start: hi\nsteps:\n  hi: {respond: [{response_type: text, text: Hi.}], otherwise: again}\n  again: {respond: [{response_type: text, text: Again.}], otherwise: again}\n";
        let document = serde_json::json!({"kind": "scripted", "script_text": script});
        let scripted = || settings(&format!("\"assistant\": {document}"));
        let began = trials.assistant(scripted(), Said::Nothing, Value::Null).await.expect("it replies");
        assert_eq!(began.responses[0]["text"], "Hi.");
        let next = trials.assistant(scripted(), Said::Words("what".into()), began.context).await.expect("it replies");
        assert_eq!(next.responses[0]["text"], "Again.");
    }

    /// Others are being opened, and do not end.
    #[tokio::test(start_paused = true)]
    async fn what_could_not_be_opened_is_not_said_to_be_bad() {
        let trials = TryOut::new(Aws::default(), Reach::Everywhere);
        let all = u32::try_from(OPENED_AT_ONCE).expect("few");
        let others = Arc::clone(&trials.opening.places).acquire_many_owned(all).await.expect("free");
        let ears = || settings(r#""speech_to_text": {"kind": "counting"}"#);
        assert_eq!(trials.service(ears()).await, Err(Failed::Untried(NOT_OPENED)));
        drop(others);
        assert_eq!(trials.service(ears()).await, Ok("counting listens".to_owned()));
    }

    #[actix_rt::test]
    async fn who_is_told_of_calls_is_sent_one_test_event_and_what_came_of_it_is_told() {
        use std::io::{Read, Write};
        let receiver = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let place = receiver.local_addr().expect("bound");
        let answering = std::thread::spawn(move || {
            ["204 No Content", "401 Unauthorized"].map(|status| {
                let (mut stream, _) = receiver.accept().expect("a request");
                let (mut request, mut piece) = (String::new(), [0; 1024]);
                while !request.ends_with("}}") {
                    let read = stream.read(&mut piece).expect("it goes on");
                    request.push_str(&String::from_utf8_lossy(&piece[..read]));
                }
                let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                stream.write_all(answer.as_bytes()).expect("sent");
                request
            })
        });
        let trials = TryOut::new(Aws::default(), Reach::Everywhere);
        let webhook = || {
            let webhook = format!(r#"{{"url": "http://{place}/log", "secret": "s3cret"}}"#);
            settings(&format!(r#""records": {{"webhook": {webhook}}}"#))
        };
        let told = trials.log_webhook(webhook()).await;
        assert_eq!(told, Ok("the test event arrived: it answered 204".to_owned()));
        let why = trials.log_webhook(webhook()).await.expect_err("it is refused");
        assert!(matches!(&why, Failed::Tried(Fault::Unavailable, why) if why.contains("401")), "{why:?}");
        let near = TryOut::new(Aws::default(), Reach::Internet);
        assert!(matches!(near.log_webhook(webhook()).await, Err(Failed::Tried(..))), "nobody is sent to this machine");
        for request in answering.join().expect("no panic") {
            assert!(request.starts_with("POST /log ") && request.contains(r#""name":"test""#), "{request}");
            assert!(request.contains("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.") && !request.contains("s3cret"));
        }
    }

    #[actix_rt::test]
    async fn what_does_not_answer_is_told_in_a_sentence() {
        let trials = TryOut::new(Aws::default(), Reach::Everywhere);
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
        let webhook = format!(r#""assistant": {{"kind": "webhook", "url": "http://{nobody}/turn"}}"#);
        let why = trials.assistant(settings(&webhook), Said::Nothing, Value::Null).await.expect_err("nobody is there");
        assert!(matches!(why, Failed::Tried(Fault::Unavailable, _)), "{why:?}");
        let connect = r#""connect": {"instance_arn": "arn", "access_key_id": "a", "secret_access_key": "b"}"#;
        let mistakes = trials.connection(settings(connect), Origin::Store).await.expect_err("no ARN");
        assert_eq!(mistakes[0].path, "connect.instance_arn");
    }

    /// A kind of everything that names an URL, each with a name that leads to this machine.
    fn named(port: u16) -> Vec<String> {
        let at = format!("localhost:{port}");
        let watson = |iam: &str| format!(r#""kind": "watson", "url": "http://{at}/1", {iam}"#);
        let (token, key) = (r#""token": "t""#, format!(r#""api_key": "k", "iam_url": "http://{at}/token""#));
        let amazon = format!(
            r#""region": "us-east-1", "access_key_id": "a", "secret_access_key": "b", "endpoint_url": "http://{at}""#
        );
        vec![
            format!(r#""assistant": {{"kind": "webhook", "url": "http://{at}/turn", "secret": "s"}}"#),
            format!(
                r#""assistant": {{"kind": "chat_completions", "url": "http://{at}/v1", "model": "m", "prompt": "p"}}"#
            ),
            format!(r#""assistant": {{{}, "assistant_id": "a"}}"#, watson(token)),
            format!(
                r#""assistant": {{{}, "assistant_id": "a"}}"#,
                watson(&key).replace(&format!("http://{at}/1"), "http://8.8.8.8/1")
            ),
            format!(r#""speech_to_text": {{{}}}"#, watson(token)),
            format!(r#""speech_to_text": {{"kind": "worker", "url": "ws://{at}/"}}"#),
            format!(r#""speech_to_text": {{"kind": "transcribe", {amazon}}}"#),
            format!(r#""text_to_speech": {{{}}}"#, watson(token)),
            format!(r#""text_to_speech": {{{}, "transport": "websocket"}}"#, watson(token)),
            format!(r#""text_to_speech": {{"kind": "polly", "voice": "Amy", {amazon}}}"#),
            format!(
                r#""connect": {{"instance_arn": "arn:aws:connect:us-east-1:111122223333:instance/i", {}}}"#,
                &amazon[23..]
            ),
        ]
    }

    /// What came of trying a document.
    async fn came(trials: &TryOut, settings: TenantSettings) -> String {
        if settings.connect.is_some() {
            let report = trials.connection(settings, Origin::Store).await.expect("it is one");
            return report.outcome.to_string();
        }
        let came = match settings.assistant.is_empty() {
            true => trials.service(settings).await.map(|_| ()),
            false => trials.assistant(settings, Said::Nothing, Value::Null).await.map(|_| ()),
        };
        format!("{came:?}")
    }

    /// The names are looked up when they are connected to: what a name led to before counts for nothing.
    #[actix_rt::test]
    async fn nothing_that_a_tenant_names_leads_to_this_machine_unless_the_operator_allows_it() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let (came_by, asked) = (Arc::new(std::sync::atomic::AtomicUsize::new(0)), named(port));
        let counted = Arc::clone(&came_by);
        actix_rt::spawn(async move {
            // Whoever comes is sent away.
            while listener.accept().await.is_ok() {
                counted.fetch_add(1, Ordering::SeqCst);
            }
        });
        for (reach, comes) in [(Reach::Internet, false), (Reach::Everywhere, true)] {
            let trials = TryOut::new(Aws::default(), reach);
            for document in &asked {
                let before = came_by.load(Ordering::SeqCst);
                let read = settings(document);
                assert!(!read.urls.is_empty(), "{document}");
                let told = came(&trials, read).await;
                assert_eq!(came_by.load(Ordering::SeqCst) > before, comes, "{document}: {told}");
                assert_eq!(told.contains("private"), !comes, "{document}: {told}");
                if reach == Reach::Internet {
                    let literal = settings(&document.replace("localhost", "127.0.0.1"));
                    assert_eq!(out_of_reach(&literal, reach).count(), 1, "{document}");
                    assert_eq!(out_of_reach(&literal, Reach::Everywhere).count(), 0, "{document}");
                }
            }
        }
    }
}
