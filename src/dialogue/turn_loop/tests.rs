//! The loop as plans on virtual time, and as a property over random orders of events.

use super::*;
use crate::ports::TurnReply;
use serde_json::json;
use std::sync::Arc;

struct Talk {
    turn_loop: TurnLoop,
    now: Instant,
    log: Vec<String>,
    /// What the far end has still to hear, in order.
    says: Vec<SayId>,
    loops: Option<SayId>,
    paused: bool,
    asked: u32,
}

impl Talk {
    fn new() -> Self {
        let now = Instant::now();
        let policy = Policy { notify_filtered: true, ..Policy::default() };
        let turn_loop = TurnLoop::new(now, policy, CallFacts::default().into());
        let mut talk = Self { turn_loop, now, log: vec![], says: vec![], loops: None, paused: false, asked: 0 };
        talk.put(Input::Begin);
        talk
    }

    fn put(&mut self, input: Input) {
        self.turn_loop.handle(self.now, input);
        self.drain();
    }

    fn reply(&mut self, generic: Value) {
        let generic = generic.as_array().cloned().unwrap_or_default();
        let reply = Ok(TurnReply { generic, ..TurnReply::default() });
        self.put(Input::Replied { number: self.asked, reply });
    }

    fn played(&mut self) {
        if self.paused {
            return; // nothing is heard meanwhile
        }
        for id in std::mem::take(&mut self.says) {
            self.put(Input::Played(id));
        }
    }

    fn pass(&mut self, seconds: u64) {
        let until = self.now + Duration::from_secs(seconds);
        while let Some(at) = self.turn_loop.deadline().filter(|at| *at <= until) {
            self.now = at;
            self.turn_loop.handle_timeout(at);
            self.drain();
        }
        self.now = until;
    }

    fn press(&mut self, digits: &str) {
        digits.chars().for_each(|digit| self.put(Input::Pressed(digit)));
    }

    fn drain(&mut self) {
        let mut cut = None;
        while let Some(output) = self.turn_loop.poll() {
            self.log.push(match output {
                Output::Ask(request) => {
                    self.asked = request.number;
                    let barge = if request.barge_in_occurred { "!" } else { "" };
                    format!("ask{barge}:{}", request.input.text())
                }
                Output::Say { id, text, .. } => {
                    self.says.push(id);
                    format!("say:{text}")
                }
                Output::Play { id, repeats, .. } => {
                    self.says.push(id);
                    self.loops = repeats.then_some(id).or(self.loops);
                    "play".into()
                }
                Output::AskEarly(request) => format!("early:{}", request.input.text()),
                Output::ForgetEarly => "forget".into(),
                Output::StopRepeating => {
                    self.says.retain(|id| Some(*id) != self.loops);
                    "stop".into()
                }
                Output::Cut => {
                    cut = cut.or(self.says.first().copied());
                    (self.paused, _) = (false, self.says.clear());
                    "cut".into()
                }
                Output::Pause => {
                    self.paused = true;
                    "pause".into()
                }
                Output::Resume => {
                    self.paused = false;
                    "resume".into()
                }
                Output::Expect { .. } | Output::Did(_) | Output::OutOfRange(_) => continue,
                Output::ConfigureRecognizer(_) => "configure".into(),
                Output::Dropped(why) => format!("dropped:{why:?}"),
                Output::HandOff(_) => "handoff".into(),
                Output::EndConversation { .. } => "end".into(),
                Output::Listening(on) => format!("listening {on}"),
                Output::SendDigits { id, digits } => format!("digits {} {}", id.0, digits.digits.len()),
                Output::Skipped { response_type } => format!("skip:{response_type}"),
                Output::Failed(failure) => format!("failed:{failure:?}"),
            });
        }
        // As the playback does: what was being heard, or would have been next.
        if let Some(id) = cut {
            self.put(Input::WasCut { id, share: 1.0 });
        }
    }

    fn heard(&mut self, text: &str) {
        self.put(Input::FinalResult { text: text.into(), confidence: 0.9, result: None });
    }

    fn took(&mut self) -> String {
        std::mem::take(&mut self.log).join(" ")
    }
}

fn text(text: &str) -> Value {
    json!({"response_type": "text", "text": text})
}

fn collect(count: usize) -> Value {
    json!({"response_type": "dtmf", "command_info": {"type": "collect", "parameters": {"count": count, "termination_key": "#"}}})
}

fn transfer() -> Value {
    json!({"response_type": "connect_to_agent", "agent_available": {"message": "wait"}, "agent_unavailable": {"message": "sorry"}})
}

#[test]
fn a_whole_conversation() {
    let mut talk = Talk::new();
    talk.reply(json!([text("hello"), text("how are you")]));
    talk.played();
    talk.heard("fine");
    talk.reply(json!([text("bye"), {"response_type": "end_session"}]));
    assert_eq!(talk.took(), "ask: say:hello say:how are you ask:fine say:bye");
    talk.played();
    assert_eq!(talk.took(), "end");
}

#[test]
fn silence_becomes_a_turn_after_seven_seconds_of_listening() {
    let mut talk = Talk::new();
    talk.reply(json!([text("hello")]));
    talk.pass(60);
    talk.played();
    talk.pass(6);
    talk.took();
    talk.pass(1);
    assert_eq!(talk.took(), "ask:vgwPostResponseTimeout");
}

#[test]
fn speech_that_began_stops_the_silence_timer() {
    let mut talk = Talk::new();
    talk.reply(json!([]));
    talk.pass(6);
    talk.put(Input::SpeechStarted);
    talk.took();
    talk.pass(20);
    assert_eq!(talk.took(), "");
    talk.heard("at last");
    assert_eq!(talk.took(), "ask:at last");
}

#[test]
fn the_assistant_is_asked_twice_and_then_lost() {
    let mut talk = Talk::new();
    talk.pass(5);
    assert_eq!(talk.took(), "ask: ask:");
    talk.pass(5);
    assert_eq!(talk.took(), "failed:Overdue");
    talk.reply(json!([text("too late")]));
    talk.pass(100);
    assert_eq!(talk.took(), "");
}

#[test]
fn a_late_first_answer_counts_for_its_retry() {
    let mut talk = Talk::new();
    talk.pass(6);
    talk.reply(json!([text("hello")]));
    talk.reply(json!([text("hello again")]));
    assert_eq!(talk.took(), "ask: ask: say:hello");
}

#[test]
fn speech_and_keys_barge_in_and_the_next_turn_says_so() {
    let mut talk = Talk::new();
    talk.reply(json!([text("a long text"), text("and more")]));
    talk.put(Input::SpeechStarted);
    talk.heard("stop");
    assert_eq!(talk.took(), "ask: say:a long text say:and more pause cut ask!:stop");
    talk.reply(json!([text("again")]));
    talk.press("5");
    assert_eq!(talk.took(), "say:again cut ask!:5");
    let lines = talk.turn_loop.transcript().lines();
    assert!(lines[0].interrupted && lines[0].text == "a long text" && lines[1].text == "stop", "{}", lines[1].text);
}

#[test]
fn what_ends_the_call_is_spoken_to_the_end() {
    let mut talk = Talk::new();
    talk.reply(json!([text("I will"), transfer()]));
    talk.put(Input::SpeechStarted);
    talk.heard("no");
    talk.press("1");
    assert_eq!(talk.took(), "ask: say:I will dropped:NoBargeIn");
    talk.played();
    assert_eq!(talk.took(), "say:wait");
    talk.played();
    assert_eq!(talk.took(), "handoff");
}

#[test]
fn digits_are_collected_by_count_key_and_time() {
    let mut talk = Talk::new();
    talk.reply(json!([text("your number"), collect(4)]));
    talk.press("12");
    talk.press("34");
    assert_eq!(talk.took(), "ask: say:your number cut ask!:1234");
    talk.reply(json!([collect(4)]));
    talk.press("1#");
    assert_eq!(talk.took(), "ask:1");
    talk.reply(json!([collect(4)]));
    talk.press("12");
    talk.pass(6);
    talk.press("3");
    talk.pass(7);
    assert_eq!(talk.took(), "ask:123");
}

#[test]
fn keys_typed_ahead_answer_the_next_question() {
    let mut talk = Talk::new();
    talk.press("12");
    talk.reply(json!([collect(2)]));
    assert_eq!(talk.took(), "ask: ask:12");
}

#[test]
fn who_speaks_while_the_assistant_thinks_is_heard() {
    let mut talk = Talk::new();
    talk.heard("wait I meant");
    talk.put(Input::NotUnderstood);
    talk.reply(json!([text("old answer")]));
    assert_eq!(talk.took(), "ask: ask:wait I meant");
}

#[test]
fn an_impossible_hand_off_goes_on_with_a_turn() {
    let mut talk = Talk::new();
    talk.reply(json!([transfer()]));
    talk.played();
    talk.put(Input::HandoffImpossible);
    assert_eq!(talk.took(), "ask: say:wait handoff ask:vgwCallTransferFailed say:sorry");
}

#[test]
fn unknown_types_are_skipped_in_order() {
    let mut talk = Talk::new();
    talk.reply(json!([text("a"), {"response_type": "grid"}, text("b")]));
    assert_eq!(talk.took(), "ask: say:a skip:grid say:b");
}

#[test]
fn a_reply_is_spoken_while_the_rest_is_made() {
    let mut talk = Talk::new();
    talk.put(Input::ReplyPart { number: 0, part: Part::Item(text("First.")) });
    talk.played();
    talk.pass(3);
    talk.put(Input::ReplyPart { number: 0, part: Part::Item(text("Second.")) });
    talk.played();
    talk.pass(1);
    talk.reply(json!([text("Third."), {"response_type": "end_session"}]));
    assert_eq!(talk.took(), "ask: say:First. say:Second. say:Third.");
    talk.played();
    assert_eq!(talk.took(), "end");
}

/// `chat_completions.yaml`: a slow model whose tokens flow is alive.
#[test]
fn a_reply_that_is_being_made_is_waited_for_and_asked_for_once() {
    let mut talk = Talk::new();
    let goes_on = |talk: &mut Talk| {
        talk.pass(1);
        talk.put(Input::ReplyPart { number: 0, part: Part::Progress });
    };
    (0..12).for_each(|_| goes_on(&mut talk));
    assert_eq!(talk.took(), "ask:");
    talk.put(Input::ReplyPart { number: 0, part: Part::Item(text("First words.")) });
    talk.played();
    (0..12).for_each(|_| goes_on(&mut talk));
    talk.reply(json!([text("The rest.")]));
    assert_eq!(talk.took(), "say:First words. say:The rest.");
}

#[test]
fn a_reply_that_is_being_made_for_ever_is_given_up() {
    let mut talk = Talk::new();
    for _ in 0..FIRST_WORDS_MAX.as_secs() * 2 + 10 {
        talk.pass(1);
        talk.put(Input::ReplyPart { number: 0, part: Part::Progress });
    }
    assert_eq!(talk.took(), "ask: ask: failed:Overdue");
}

#[test]
fn a_reply_that_breaks_off_is_not_asked_for_again() {
    let mut talk = Talk::new();
    talk.put(Input::ReplyPart { number: 0, part: Part::Item(text("First.")) });
    talk.played();
    talk.took();
    talk.pass(5);
    assert_eq!(talk.took(), "failed:Overdue");
}

#[test]
fn what_is_left_of_an_interrupted_reply_is_not_spoken_but_remembered() {
    let mut talk = Talk::new();
    talk.put(Input::ReplyPart { number: 0, part: Part::Item(text("First.")) });
    talk.press("1");
    talk.took();
    talk.put(Input::ReplyPart { number: 0, part: Part::Item(text("Second.")) });
    assert_eq!(talk.took(), "");
}

/// `half a reply was heard` of tests/cases/replies.yaml, while it is still being streamed.
#[test]
fn the_turn_after_a_streamed_reply_was_interrupted_says_what_of_it_was_heard_and_which_turn_it_was() {
    let mut talk = Talk::new();
    talk.reply(json!([]));
    talk.heard("tell me");
    talk.put(Input::ReplyPart { number: 1, part: Part::Item(text("First.")) });
    talk.put(Input::ReplyPart { number: 1, part: Part::Item(text("Second.")) });
    talk.turn_loop.handle(talk.now, Input::FinalResult { text: "stop".into(), confidence: 0.9, result: None });
    let asked = |talk: &mut Talk| {
        std::iter::from_fn(|| talk.turn_loop.poll()).find_map(|output| match output {
            Output::Ask(request) => Some(request),
            _ => None,
        })
    };
    assert!(asked(&mut talk).is_none(), "it waits to be told how much was heard");
    talk.turn_loop.handle(talk.now, Input::WasCut { id: SayId(0), share: 1.0 });
    let request = asked(&mut talk).expect("a turn");
    let interrupted = request.interrupted.expect("it was interrupted");
    assert_eq!(interrupted.heard, "First.");
    let unknown = interrupted.unknown_turn.expect("its context does not know of that turn");
    assert_eq!(unknown.text(), "tell me");
    // The end of the interrupted reply comes after all: a second try has its context.
    let context = json!({"kept": true});
    let reply = Ok(TurnReply { context, ..TurnReply::default() });
    talk.turn_loop.handle(talk.now, Input::Replied { number: 1, reply });
    talk.now += Duration::from_secs(5);
    talk.turn_loop.handle_timeout(talk.now);
    let again = asked(&mut talk).expect("a second try");
    assert_eq!((again.attempt, &again.context["kept"]), (2, &json!(true)));
    assert!(again.interrupted.is_some_and(|interrupted| interrupted.unknown_turn.is_none()));
}

#[test]
fn a_turn_after_a_cut_goes_out_even_if_nobody_tells_how_much_was_heard() {
    let mut talk = Talk::new();
    talk.reply(json!([text("a long text")]));
    talk.turn_loop.handle(talk.now, Input::Pressed('1'));
    let asked = |talk: &mut Talk| std::iter::from_fn(|| talk.turn_loop.poll()).any(|o| matches!(o, Output::Ask(_)));
    assert!(!asked(&mut talk));
    talk.now += CUT_TOLD_MAX;
    talk.turn_loop.handle_timeout(talk.now);
    assert!(asked(&mut talk));
}

/// Whether the conversation has ended; if it has not, something is awaited that will come.
fn assert_not_stuck(talk: &Talk, paused_before: bool) -> bool {
    let ended = matches!(talk.turn_loop.state, State::Failed | State::HandingOff { .. });
    assert!(ended || talk.turn_loop.deadline().is_some(), "stuck in {:?}", talk.turn_loop.state);
    if let State::Speaking { paused, .. } = &talk.turn_loop.state {
        let waits =
            talk.turn_loop.queue.iter().filter(|queued| matches!(queued, Queued::Clip { sound: None, .. })).count();
        assert!(waits <= talk.says.len(), "waits for what was cut: {:?}", talk.turn_loop.state);
        assert_eq!(*paused, talk.paused, "paused before: {paused_before}");
    } else {
        assert!(ended || !talk.paused, "silent for ever in {:?}", talk.turn_loop.state);
    }
    ended
}

/// No order of events leaves the loop without a deadline, speaks after a cut, or loses barge-in.
#[test]
fn no_order_of_events_leaves_the_loop_stuck() {
    let mut seed = 1u64;
    let mut random = move |n: u64| {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (seed >> 33) % n
    };
    let music = |repeats: bool| json!({"response_type": "audio", "source": "x", "channel_options": {"voice_telephony": {"loop": repeats}}});
    let now =
        json!({"response_type": "user_defined", "user_defined": {"vgwAction": {"command": "vgwActForceNoInputTurn"}}});
    let stop = json!({"response_type": "stop_activities", "activities": [{"type": "speech_to_text_recognition"}]});
    for round in 0..1500 {
        let mut talk = Talk::new();
        talk.turn_loop.policy.resume = round % 2 == 0;
        talk.turn_loop.policy.notify_network = round % 5 == 0;
        if round % 3 == 0 {
            talk.turn_loop.policy.final_utterance = Some(Duration::from_secs(9));
        }
        for _ in 0..80 {
            let before = talk.paused;
            match random(19) {
                18 => talk.put(Input::SpeechSustained),
                17 => talk.put(Input::NetworkWarning),
                0 => talk.put(Input::SpeechStarted),
                1 => talk.put(Input::InterimResult),
                2 => talk.put(Input::SpeechEnded),
                3 => talk.heard("words"),
                4 => talk.put(Input::NotUnderstood),
                5 => talk.press(["1", "#", "7"][random(3) as usize]),
                6 | 7 => talk.played(),
                8 => talk.pass(random(12)),
                9 => talk.reply(json!([text("a"), stop, collect(1 + random(3) as usize)])),
                10 => talk.reply(json!([text("b"), {"response_type": "option", "options": [{"label": "x"}]}])),
                11 => talk.reply(json!([text("c"), music(true), now])),
                12 => talk.reply(json!([music(random(2) == 0), text("d")])),
                13 => talk.put(Input::ReplyPart { number: talk.asked, part: Part::Item(text("e")) }),
                14 => talk.put(Input::Replied { number: talk.asked, reply: Err(ServiceFailure::Overloaded) }),
                15 => talk.put(Input::HandoffImpossible),
                _ => talk.reply(json!([text("f"), transfer()])),
            }
            let ended = assert_not_stuck(&talk, before);
            let interruptible = talk.turn_loop.may_interrupt(true);
            if interruptible && !talk.paused && random(4) == 0 {
                talk.took();
                talk.put(Input::SpeechStarted);
                let expected = if talk.turn_loop.policy.resume { "pause" } else { "cut" };
                assert!(talk.took().starts_with(expected), "barge-in lost");
            }
            if ended {
                break;
            }
        }
    }
}

/// Whatever happens, a caller who is left alone hears from us again, or the call is over.
#[test]
fn a_caller_left_alone_is_always_turned_to() {
    for quiet_after in 0..6 {
        let mut talk = Talk::new();
        let steps: [fn(&mut Talk); 6] = [
            |talk| talk.reply(json!([text("a")])),
            |talk| talk.put(Input::SpeechStarted),
            |talk| talk.put(Input::SpeechEnded),
            |talk| talk.heard("words"),
            |talk| talk.reply(json!([text("b")])),
            |talk| talk.put(Input::InterimResult),
        ];
        steps.iter().take(quiet_after).for_each(|step| step(&mut talk));
        talk.took();
        for _ in 0..100 {
            talk.played();
            talk.pass(5);
        }
        assert!(talk.took().contains("ask") || matches!(talk.turn_loop.state, State::Failed), "after {quiet_after}");
    }
}

/// Bytes that stand in the queue to be said.
fn waiting(talk: &Talk) -> usize {
    let words = talk.turn_loop.queue.iter().map(|queued| match queued {
        Queued::Clip { words, .. } => words.as_ref().map_or(0, |words| words.len()),
        Queued::Do(_) => 0,
    });
    words.sum()
}

fn skipped(talk: &Talk) -> usize {
    talk.log.iter().filter(|did| did.starts_with("skip")).count()
}

#[test]
fn a_reply_of_ten_thousand_parts_has_as_many_responses_as_one_that_is_whole() {
    let mut talk = Talk::new();
    for n in 0..10_000 {
        let part = Part::Item(json!({"response_type": "text", "text": format!("Number {n}.")}));
        talk.put(Input::ReplyPart { number: talk.asked, part });
    }
    assert_eq!((talk.turn_loop.queue.len(), skipped(&talk)), (500, 1), "{:?}", talk.turn_loop);
    let part = Part::Item(json!({"response_type": "end_session"}));
    talk.put(Input::ReplyPart { number: talk.asked, part });
    talk.reply(json!([]));
    (0..500).for_each(|_| talk.played());
    assert_eq!(talk.log.last().map(String::as_str), Some("end"), "what ends the call is not left out");
}

/// What is written once and said before each choice.
#[test]
fn a_small_reply_does_not_become_a_large_one() {
    let mut talk = Talk::new();
    let choices: Vec<Value> = (0..99).map(|_| json!({"label": "a"})).collect();
    let configured =
        |parameters: Value| json!({"vgwAction": {"command": "vgwActSetOptionsConfig", "parameters": parameters}});
    let list = json!({"response_type": "option", "options": choices});
    let legacy = configured(json!({"prefixText": "word ".repeat(100_000)}));
    talk.put(Input::Replied { number: talk.asked, reply: Ok(TurnReply { legacy, ..TurnReply::default() }) });
    talk.pass(8);
    talk.reply(Value::Array(vec![list; 400]));
    assert!((1..3 << 20).contains(&waiting(&talk)), "{} bytes", waiting(&talk));
    assert_eq!(skipped(&talk), 1);
}

#[test]
fn the_parts_of_a_text_share_their_voice() {
    let mut talk = Talk::new();
    let voice = json!({"response_type": "text_to_speech", "command_info": {"type": "configure",
        "parameters": {"synthesize": {"lexicon": "x".repeat(60_000)}}}});
    let too_large = json!({"response_type": "text_to_speech", "command_info": {"type": "configure",
        "parameters": {"synthesize": {"lexicon": "x".repeat(70_000)}}}});
    talk.reply(json!([voice, too_large, {"response_type": "text", "text": "word ".repeat(50_000)}]));
    let orders = talk.turn_loop.queue.iter().filter_map(|queued| match queued {
        Queued::Clip { sound: Some(queue::Sound::Text { voice, .. }), .. } => Some(voice),
        _ => None,
    });
    let voices: Vec<_> = orders.collect();
    assert!(voices.len() > 500 && voices.windows(2).all(|pair| Arc::ptr_eq(pair[0], pair[1])));
    assert_eq!(voices[0]["lexicon"].as_str().map(str::len), Some(60_000));
    assert_eq!(skipped(&talk), 1, "the larger one changed nothing, and is told");
}

/// A reply of a book waits here in thousands of clips.
#[test]
fn what_waits_to_be_heard_is_small() {
    assert!(size_of::<Queued>() <= 96, "{}", size_of::<Queued>());
    let mut talk = Talk::new();
    talk.reply(json!([{"response_type": "text", "text": "word ".repeat(50_000)}]));
    let shared = talk.turn_loop.queue.iter().filter_map(|queued| match queued {
        Queued::Clip { words: Some(words), sound: Some(queue::Sound::Text { text, .. }), .. } => {
            Some(Arc::ptr_eq(words, text))
        }
        _ => None,
    });
    let shared: Vec<bool> = shared.collect();
    assert!(shared.len() > 100 && shared.iter().all(|shared| *shared), "a text is there once");
}
