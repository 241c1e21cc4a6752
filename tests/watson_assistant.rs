//! What watsonx Assistant and we say to each other, against a stand-in that refuses what the real one refuses.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bellhop_adapters::assistant::watson::{Settings, WatsonAssistant};
use bellhop_adapters::iam::{Authentication, Tokens};
use bellhop_dialogue::call_facts::CallFacts;
use bellhop_dialogue::ports::{Assistant, Part, ServiceFailure, TurnInput, TurnReply, TurnRequest};
use bellhop_rehearsal::watson_assistant::{API_KEY, Misbehaviour, StandIn};
use serde_json::{Value, json};

struct Talk {
    service: StandIn,
    assistant: WatsonAssistant,
    context: Value,
    number: u32,
    parts: Arc<Mutex<Vec<String>>>,
}

impl Talk {
    fn new(stateful: bool, streams: bool, key: &str) -> Self {
        let service = StandIn::default();
        service.replies("", json!([{"response_type": "text", "text": "Welcome to Acme. How can I help you?"}]));
        service.replies(
            "bye",
            json!([{"response_type": "text", "text": "Good bye and thank you."}, {"response_type": "end_session"}]),
        );
        let address = service.serve().expect("a port");
        let tokens = Tokens::new(key, Some(format!("http://{address}/identity/token").into()));
        let settings = Settings {
            url: format!("http://{address}/").into(),
            assistant: "assistant-1".into(),
            environment: streams.then(|| "environment-1".into()),
            stateful,
        };
        let assistant = WatsonAssistant::new(settings, Authentication::Iam(Arc::new(tokens)));
        let facts = CallFacts { caller: "+18595553456".into(), ..CallFacts::default() };
        let context = json!({"integrations": facts.integrations()});
        Self { service, assistant, context, number: 0, parts: Arc::default() }
    }

    async fn says(&mut self, input: TurnInput) -> Result<TurnReply, ServiceFailure> {
        let request = TurnRequest::new(self.number, input, self.context.clone());
        self.number += 1;
        let parts = Arc::clone(&self.parts);
        let sink = Box::new(move |part: Part| {
            if let Part::Item(item) = part {
                parts.lock().expect("alone").push(item["text"].as_str().unwrap_or("?").into());
            }
        });
        let reply = self.assistant.turn(request, sink).await?;
        self.context = reply.context.clone();
        Ok(reply)
    }

    async fn says_text(&mut self, text: &str) -> Result<TurnReply, ServiceFailure> {
        self.says(TurnInput::Speech { text: text.into(), confidence: 1.0, result: None }).await
    }
}

fn play<F: Future<Output = ()>>(test: F) {
    actix_rt::System::new().block_on(test);
}

#[test]
fn a_stateful_conversation_is_one_session_that_is_closed() {
    play(async {
        let mut talk = Talk::new(true, false, API_KEY);
        assert_eq!(talk.says(TurnInput::Start).await.expect("a reply").generic.len(), 1);
        talk.says_text("line\nbreak\tand tab").await.expect("sanitised");
        talk.says_text("bye").await.expect("a reply");
        assert_eq!(talk.service.sessions(), (1, 1));
        let last = talk.service.messages().pop().expect("a message");
        assert_eq!(last["input"]["options"]["return_context"], true);
        assert_eq!(last["user_id"], "+18595553456");
        assert_eq!(last["context"]["global"]["system"]["turn_count"], 2, "the context comes back");
        assert!(!last.to_string().contains("bellhop"), "what is ours stays here");
        talk.assistant.ended(talk.context.clone()).await;
        assert_eq!(talk.service.sessions(), (0, 1));
    });
}

#[test]
fn a_session_that_ran_out_is_opened_again_once() {
    play(async {
        let mut talk = Talk::new(true, false, API_KEY);
        talk.says(TurnInput::Start).await.expect("a reply");
        talk.service.misbehave(Misbehaviour::ForgetSessions);
        talk.says_text("bye").await.expect("a reply");
        assert_eq!(talk.service.sessions(), (1, 2));
        talk.says_text("bye").await.expect("the new one is kept");
        assert_eq!(talk.service.sessions(), (1, 2));
    });
}

#[test]
fn a_stateless_conversation_opens_no_session() {
    play(async {
        let mut talk = Talk::new(false, false, API_KEY);
        talk.says(TurnInput::Start).await.expect("a reply");
        talk.says_text("bye").await.expect("a reply");
        talk.assistant.ended(talk.context.clone()).await;
        assert_eq!((talk.service.sessions(), talk.service.messages().len()), ((0, 0), 2));
    });
}

#[test]
fn a_stream_is_spoken_sentence_by_sentence() {
    play(async {
        for stateful in [true, false] {
            let mut talk = Talk::new(stateful, true, API_KEY);
            let reply = talk.says(TurnInput::Start).await.expect("a reply");
            assert_eq!(*talk.parts.lock().expect("alone"), ["Welcome to Acme.", "How can I help you?"]);
            assert_eq!(reply.generic.len(), 0, "nothing is said twice");
            talk.says_text("bye").await.expect("a reply");
            assert_eq!(
                *talk.parts.lock().expect("alone").last().expect("a part"),
                "?",
                "the end of the session comes last"
            );
        }
    });
}

#[test]
fn failures_are_told_with_what_to_do_and_without_words() {
    play(async {
        for (status, hint, may_pass) in [
            (401, "API key", false),
            (404, "id of the assistant", false),
            (429, "limit", true),
            (503, "503", true),
            (400, "message", false),
            (500, "500", false),
        ] {
            let mut talk = Talk::new(false, false, API_KEY);
            talk.service.misbehave(Misbehaviour::Refuse(status));
            let (why, passes) = match talk.says_text("my secret").await {
                Err(ServiceFailure::Unavailable { why }) => (why, false),
                Err(ServiceFailure::NotNow { why, .. }) => (why, true),
                _ => panic!("a failure"),
            };
            assert_eq!(passes, may_pass, "{why}");
            assert!(why.contains(hint) && !why.contains("secret") && !why.contains(API_KEY), "{why}");
        }
        let mut talk = Talk::new(true, false, "wrong");
        let Err(ServiceFailure::Unavailable { why }) = talk.says(TurnInput::Start).await else { panic!("a failure") };
        assert!(why.contains("IAM refused the API key") && !why.contains("wrong"), "{why}");
        let mut talk = Talk::new(false, true, API_KEY);
        talk.service.misbehave(Misbehaviour::BreakOff);
        assert!(talk.says(TurnInput::Start).await.is_err());
        let mut talk = Talk::new(false, false, API_KEY);
        talk.service.misbehave(Misbehaviour::Delay(Duration::from_millis(50)));
        assert!(talk.says(TurnInput::Start).await.is_ok());
    });
}
