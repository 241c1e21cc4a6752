//! Speaking: a queue of what is to be heard and of what is to be done between.
//!
//! What is to be heard is ordered only shortly before its time: a reply of a thousand items, or of a book, is a long queue
//! here and little work anywhere else; when it is cut, or the call is over, all of that work is gone at once.

use std::sync::Arc;
use std::time::Instant;

use super::queue::{Queued, Size, Sound, is, is_clip, is_end};
use super::{ECHO_MAX, Output, SPEAKING_MAX, SayId, State, TurnLoop, UTTERANCE_MAX};
use crate::markup;
use crate::ports::TurnInput;
use crate::response::{Activities, BargeInSwitch, ConnectToAgent, Means, OptionList, OptionsConfig, Response};
use crate::speakable;

/// Characters of texts that are ordered beyond what is being heard: half a minute.
const AHEAD_CHARACTERS: usize = 450;
/// Clips that are ordered at once, each digit of a row counted; the playback holds a few more.
const AHEAD_CLIPS: usize = 40;
/// Most responses of one reply, in however many parts it comes; those beyond are left out, but for one that ends the
/// conversation.
const RESPONSES_MAX: usize = 500;
/// Most bytes that one reply says, in however many responses: twice what a reply may have, for lists say more than is written.
const SAYS_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Characters of a response type that are told: an assistant may write a book there.
const TOLD_CHARACTERS: usize = 60;
/// Most bytes of what is remembered for its echo.
const SAYING_BYTES_MAX: usize = 4096;

/// How lists to choose from are offered, until configured anew.
#[derive(Debug, Default)]
pub(super) struct Offers {
    options: OptionsConfig,
    suggestions: OptionsConfig,
}

impl TurnLoop {
    /// Carries out a reply after what is in the queue already.
    pub(super) fn speak(&mut self, now: Instant, streaming: Option<u32>, responses: Vec<Response>) {
        if self.repeating {
            self.repeating = false;
            self.queue.retain(|queued| !matches!(queued, Queued::Clip { repeats: true, .. }));
            self.outputs.push_back(Output::StopRepeating);
        }
        if self.queue.is_empty() {
            self.saying.clear();
            self.heard.reply_begins();
        }
        self.replied_at = now;
        (self.responses, self.says_bytes) = (0, 0);
        self.state = State::Speaking { streaming, until: now + SPEAKING_MAX, paused: false };
        self.continue_with(now, responses);
    }

    /// More of the reply that is being spoken.
    pub(super) fn continue_with(&mut self, now: Instant, responses: Vec<Response>) {
        self.enqueue_all(responses);
        let ends = self.queue.iter().any(is_end);
        let State::Speaking { until, paused, .. } = &mut self.state else { return };
        if *paused {
            // What ends the conversation is not interrupted.
            if ends {
                self.resume(now);
            }
            return;
        }
        *until = now + SPEAKING_MAX;
        self.advance(now);
    }

    /// Of a reply that is not spoken: what it wants done in silence.
    pub(super) fn carry_out_silently(&mut self, now: Instant, responses: Vec<Response>) {
        // What is still to be heard of the reply before stands in the queue: this one does not wait for it.
        let heard = std::mem::take(&mut self.queue);
        self.replied_at = now;
        (self.responses, self.says_bytes) = (0, 0);
        self.enqueue_all(responses.into_iter().filter(|response| !is_heard(response)).collect());
        self.settle(now);
        self.queue = heard;
    }

    fn enqueue_all(&mut self, mut responses: Vec<Response>) {
        // Nothing comes after the end.
        if let Some(end) = responses.iter().position(Response::is_terminal) {
            responses.truncate(end + 1);
        }
        let room = RESPONSES_MAX.saturating_sub(self.responses);
        let told_before = self.responses > RESPONSES_MAX;
        self.responses += responses.len();
        if responses.len() > room {
            let end = responses.pop().filter(Response::is_terminal);
            responses.truncate(room);
            responses.extend(end);
            if !told_before {
                self.outputs.push_back(Output::Skipped { response_type: "all beyond the 500th".to_owned() });
            }
        }
        let cacheable = !responses.contains(&Response::ExcludeFromCache);
        for response in responses {
            self.enqueue(response, cacheable);
            self.order_ahead();
        }
    }

    /// Orders what will soon be heard.
    pub(super) fn order_ahead(&mut self) {
        let mut ahead = Size::default();
        for queued in &mut self.queue {
            let Queued::Clip { id, repeats, sound, size, .. } = queued else { continue };
            let room =
                ahead.clips == 0 || ahead.characters <= AHEAD_CHARACTERS && ahead.clips + size.clips <= AHEAD_CLIPS;
            if !room {
                break;
            }
            self.outputs.extend(sound.take().map(|sound| sound.order(*id, *repeats)));
            ahead.characters += size.characters;
            ahead.clips += size.clips;
        }
    }

    /// Puts something to be heard into the queue.
    fn clip(&mut self, words: Option<Arc<str>>, repeats: bool, clips: usize, sound: Sound) {
        let id = SayId(self.next_say);
        self.next_say += 1;
        let size = Size { characters: words.as_ref().map_or(0, |words| words.chars().count()), clips };
        self.queue.push_back(Queued::Clip { id, words, repeats, sound: Some(sound), size });
    }

    /// Does what stands at the front, up to the next thing to be heard.
    fn settle(&mut self, now: Instant) {
        while let Some(Queued::Do(response)) = self.queue.pop_front_if(|queued| matches!(queued, Queued::Do(_))) {
            self.do_now(now, *response);
        }
        self.begin_front(now);
    }

    fn enqueue(&mut self, response: Response, cacheable: bool) {
        match response {
            Response::Text { text } => self.say(&text, cacheable),
            Response::Audio(audio) => {
                let repeats = audio.repeats;
                self.repeating |= repeats;
                self.clip(None, repeats, 1, Sound::File { source: audio.source });
            }
            Response::Options(list) => self.offer(list, cacheable),
            Response::SendDigits(digits) => {
                self.clip(None, false, digits.digits.len(), Sound::Digits(digits));
            }
            Response::Dtmf(wanted) => self.expecting.collect(wanted),
            Response::TextToSpeech(update) => match self.voice.update(update.strategy, &update.fields) {
                Ok(()) => self.outputs.push_back(Output::Did("text_to_speech_config")),
                Err(too_large) => self.outputs.push_back(skipped(&too_large.to_string())),
            },
            Response::OptionsConfig(config) => self.offers.options = config,
            Response::DisambiguationConfig(config) => self.offers.suggestions = config,
            Response::ForceNoInputTurn => self.at_once = self.at_once.take().or(Some(TurnInput::NoInput)),
            Response::SendSms => {
                self.at_once = Some(TurnInput::SmsFailed);
                self.outputs.push_back(Output::Did("sms"));
            }
            Response::Unsupported { response_type } => self.outputs.push_back(skipped(&response_type)),
            Response::SpeechToText(_)
            | Response::BargeIn(_)
            | Response::Start(_)
            | Response::Stop(_)
            | Response::ConnectToAgent(_)
            | Response::EndSession { .. } => self.queue.push_back(Queued::Do(Box::new(response))),
            Response::ExcludeFromCache => {} // holds for the whole reply
        }
    }

    /// Speaks a text, in parts that are short enough for every voice.
    pub(super) fn say(&mut self, text: &str, cacheable: bool) {
        let before = self.says_bytes;
        self.says_bytes += text.len();
        if self.says_bytes > SAYS_BYTES_MAX {
            if before <= SAYS_BYTES_MAX {
                self.outputs.push_back(skipped("all texts beyond 2 MiB"));
            }
            return;
        }
        let voice = self.voice.current().get("synthesize").and_then(|voice| voice.as_object()).cloned();
        // A text has many parts, and all are of one voice.
        let voice = Arc::new(voice.unwrap_or_default());
        for text in speakable::cut(text) {
            let text: Arc<str> = text.into();
            self.clip(Some(Arc::clone(&text)), false, 1, Sound::Text { text, voice: Arc::clone(&voice), cacheable });
        }
    }

    fn offer(&mut self, list: OptionList, cacheable: bool) {
        let config = if list.disambiguates { &self.offers.suggestions } else { &self.offers.options };
        let config = config.clone();
        if let Some(title) = &list.title {
            self.say(title, cacheable);
        }
        for (n, choice) in list.choices.iter().enumerate() {
            self.say(&config.offer(n + 1, &choice.label), cacheable);
        }
        self.expecting.offer(list.choices, config);
    }

    /// What stands at the front now begins to be heard.
    pub(super) fn begin_front(&mut self, now: Instant) {
        if let Some(Queued::Clip { id, words, .. }) = self.queue.front_mut()
            && let Some(words) = words.take()
        {
            let (id, plain) = (*id, markup::without(&words));
            if self.saying.len() > SAYING_BYTES_MAX {
                self.saying.clear();
            }
            self.saying.push(' ');
            self.saying.push_str(&plain);
            self.heard.begins(id, &plain);
            self.transcript.speak(now - self.began, id.0, &words, &self.policy.redaction);
        }
    }

    /// Does what stands at the front, up to the next thing to be heard; at the end of the queue the caller has the word.
    pub(super) fn advance(&mut self, now: Instant) {
        self.settle(now);
        self.order_ahead();
        let State::Speaking { streaming, until, .. } = &mut self.state else { return };
        if streaming.is_some() {
            if self.queue.is_empty() {
                *until = now + self.policy.assistant;
            }
            return;
        }
        let heard = self.queue.iter().all(|queued| matches!(queued, Queued::Clip { repeats: true, .. }));
        match self.at_once.take_if(|_| heard) {
            // What repeats goes on until the next reply is there.
            Some(input) => self.ask_meanwhile(now, input),
            None if self.queue.is_empty() => self.listen(now),
            None => {}
        }
    }

    /// Does something whose time has come.
    fn do_now(&mut self, now: Instant, response: Response) {
        self.outputs.extend(response.record_types().iter().copied().map(Output::Did));
        match response {
            Response::SpeechToText(update) => match self.recognition.update(update.strategy, &update.fields) {
                Ok(()) => self.outputs.push_back(Output::ConfigureRecognizer(self.recognition.current().clone())),
                Err(too_large) => self.outputs.push_back(skipped(&too_large.to_string())),
            },
            Response::BargeIn(BargeInSwitch { by: Means::Speech, allowed }) => self.speech_interrupts = allowed,
            Response::BargeIn(BargeInSwitch { by: Means::Digits, allowed }) => self.digits_interrupt = allowed,
            Response::Start(activities) => self.switch(activities, true),
            Response::Stop(activities) => self.switch(activities, false),
            Response::ConnectToAgent(transfer) => self.connect(now, transfer),
            Response::EndSession { headers } => {
                self.state = State::Ended;
                self.outputs.push_back(Output::EndConversation { headers });
            }
            _ => {}
        }
    }

    fn switch(&mut self, activities: Activities, on: bool) {
        if activities.digits {
            self.deaf_to_keys = !on;
        }
        if activities.speech {
            self.deaf_to_speech = !on;
            self.outputs.push_back(Output::Listening(on));
        }
    }

    fn connect(&mut self, now: Instant, mut transfer: ConnectToAgent) {
        if let Some(message) = transfer.agent_available.take() {
            // Said once, then the same response again without it.
            self.say(&message, true);
            self.order_ahead();
            self.queue.push_back(Queued::Do(Box::new(Response::ConnectToAgent(transfer))));
            return;
        }
        if let Some(note) = &transfer.message_to_human_agent {
            self.transcript.note(now - self.began, note, &self.policy.redaction);
        }
        let transfer = Box::new(transfer);
        self.outputs.push_back(Output::HandOff(transfer.clone()));
        self.state = State::HandingOff { transfer };
    }

    pub(super) fn played(&mut self, now: Instant, id: SayId) {
        let Some(at) = self.queue.iter().position(|queued| is(queued, id)) else { return };
        self.echo_until = now + ECHO_MAX;
        match &mut self.state {
            State::Speaking { paused: true, .. }
                if self.queue.iter().any(|queued| is_clip(queued) && !is(queued, id)) =>
            {
                self.queue.remove(at);
                self.order_ahead();
            }
            State::Speaking { until, paused, .. } => {
                self.queue.remove(at);
                *until = now + SPEAKING_MAX;
                // The pause came with the last sample: there is nothing left that could wait.
                let too_late = std::mem::take(paused);
                if too_late {
                    self.outputs.push_back(Output::Resume);
                }
                self.advance(now);
                if too_late {
                    self.utterance_begins(now);
                }
            }
            // Hold music goes on until the answer is there.
            State::Thinking { .. } if matches!(self.queue[at], Queued::Clip { repeats: true, .. }) => {}
            State::Thinking { .. } => {
                self.queue.remove(at);
                self.settle(now);
                self.order_ahead();
            }
            _ => {}
        }
    }

    /// Whether what is being heard may be cut: a reply that ends the conversation may not.
    pub(super) fn may_interrupt(&self, allowed: bool) -> bool {
        allowed && matches!(self.state, State::Speaking { .. }) && !self.queue.iter().any(is_end)
    }

    /// The caller seems to speak: the reply waits for what it will be, or is cut if it would not go on anyway.
    pub(super) fn pause(&mut self, now: Instant) {
        if self.repeating && matches!(self.state, State::Listening { .. }) {
            self.repeating = false;
            self.outputs.push_back(Output::Cut);
        }
        if !self.may_interrupt(self.speech_interrupts) {
            return;
        }
        let State::Speaking { paused, until, .. } = &mut self.state else { return };
        if *paused {
            *until = now + UTTERANCE_MAX;
        } else if self.policy.resume {
            *paused = true;
            *until = now + UTTERANCE_MAX;
            self.outputs.push_back(Output::Pause);
        } else {
            self.barge_in(now);
        }
    }

    /// The caller goes on and on while the reply waits: it is cut, whatever they say. Nothing of ours is heard meanwhile, so it is no echo.
    pub(super) fn sustained(&mut self, now: Instant) {
        if matches!(self.state, State::Speaking { paused: true, .. }) {
            self.barge_in(now);
            self.utterance_begins(now);
        }
    }

    /// It was nothing: the reply goes on where it stopped.
    pub(super) fn resume(&mut self, now: Instant) {
        let State::Speaking { paused, until, .. } = &mut self.state else { return };
        *paused = false;
        *until = now + SPEAKING_MAX;
        self.outputs.push_back(Output::Resume);
        self.advance(now);
    }

    /// Cuts the reply. What it still had to do in silence is done, what it had to say is not.
    pub(super) fn barge_in(&mut self, now: Instant) {
        let queue = std::mem::take(&mut self.queue);
        (self.barged_in, self.at_once) = (true, None);
        if let Some(Queued::Clip { id, words: None, .. }) = queue.front() {
            self.transcript.interrupt(id.0);
        }
        self.outputs.push_back(Output::Cut);
        self.heard.cut();
        self.repeating = false;
        self.echo_until = now + ECHO_MAX;
        for queued in queue {
            if let Queued::Do(response) = queued {
                self.do_now(now, *response);
            }
        }
        self.listen(now);
    }
}

/// What was left out, and no more of its name than a log has room for.
fn skipped(response_type: &str) -> Output {
    let told = response_type.chars().filter(|c| !c.is_control()).take(TOLD_CHARACTERS);
    Output::Skipped { response_type: told.collect() }
}

/// Whether a response is something for the caller's ear, or makes another turn.
fn is_heard(response: &Response) -> bool {
    use Response as R;
    matches!(
        response,
        R::Text { .. } | R::Audio(_) | R::Options(_) | R::SendDigits(_) | R::ForceNoInputTurn | R::SendSms
    )
}
