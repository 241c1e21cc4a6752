//! Call: the supervisor. It starts the children, carries messages between them, and ends the call once.
//!
//! It knows phases and nothing of conversations, codecs or HTTP: too simple to fail. Invariant: `leave` is entered once;
//! the first reason wins; the key is spent after all others have stopped, and nothing after a failure.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use actix::{Actor, ActorContext, AsyncContext, Context, SpawnHandle};
use bellhop_connect::contact_attributes::ContactAttributes;
use bellhop_connect::handoff::Handoff;
use bellhop_connect::ports::History;
use bellhop_connect::session_history_key::ATTRIBUTE;
use bellhop_dialogue::TurnLoop as TurnLoopCore;
use bellhop_dialogue::response::ConnectToAgent;
use bellhop_dialogue::session_record::SessionRecord;
use bellhop_dialogue::transcript::Transcript;
use bellhop_dialogue::turn_loop::Tries;
use bellhop_media::dtmf::two_ways::TwoWays;
use bellhop_media::parts::Parts;
use bellhop_media::recording::Recorder;
use bellhop_sip::dialog::leaving::Farewell;
use bellhop_sip::dialog::uas::Uas;
use bellhop_sip::message::{Response, StatusCode};
use bellhop_sip::sdp::{self, Agreed};
use bellhop_tenancy::tenant::Ringing;

use super::children::{Children, tell};
use super::connect_handoff::ConnectHandoff;
use super::jitter_buffer::JitterBuffer;
use super::journal::Journal;
use super::leg::{self, Beginning, LegListeners};
use super::messages::{Answer, Begin, CallEnded, CommitHandoff, FindWayBack, MarkHangup, PrepareHandoff, Ring};
use super::sip_dialog::SipDialog;
use super::stt_stream::SttStream;
use super::transfer::WayOut;
use super::tts_playback::TtsPlayback;
use super::turn_loop::TurnLoop;
use super::{
    BEAT_EVERY, CALL_AGE_MAX, CHILD_MAILBOX, COMMIT_MAX, CallSeed, PORT_TRIES, PREPARE_MAX, QUIET_MAX, SETUP_MAX,
    TEARDOWN_MAX, WAY_BACK_MAX, strike,
};
use crate::drive::Drive;
use crate::media_shard::{Leg, LegCores, OnAir, PacketPort, Shard};
use crate::metrics;
use crate::reception::call_registry::Blank;
use crate::reception::port_pool::Fate;
use crate::services::RecordingSink;
use crate::supervision::watchdog::{GRACE, was_away};
use crate::supervision::{ChildName, Exit, Failure, Fault, Link, Linked, Stop, Strike, spawn_linked};
use bellhop_call::ending::{Broken, Ending, Refusal};
use bellhop_call::phase::{OnFailure, PhaseName};

/// The actor.
pub struct Call {
    pub(super) link: Link,
    pub(super) seed: CallSeed,
    pub(super) journal: Journal,
    pub(super) phase: PhaseName,
    pub(super) readiness: Readiness,
    pub(super) goal: Option<Goal>,
    /// The names of the attributes that a hand-off will write; none for what marks a hang-up.
    pub(super) attribute_names: Vec<String>,
    pub(super) way_out: WayOut,
    /// Why the call will end once a commit in flight is known.
    pub(super) ending: Option<Ending>,
    pub(super) cores: Option<Rc<LegCores>>,
    pub(super) on_air: Option<OnAir>,
    /// Keys that may come by two ways.
    pub(super) presses: TwoWays,
    pub(super) children: Children,
    /// Whether a BYE would reach the far end: known before the key is spent.
    pub(super) way_back: bool,
    pub(super) deadline: Option<SpawnHandle>,
}

/// What must be there before the call is answered.
#[derive(Default)]
pub(super) struct Readiness {
    pub(super) recognizer: bool,
    pub(super) greeting: bool,
    pub(super) says_something: bool,
}

/// What the conversation ended in.
pub(super) enum Goal {
    HandOff {
        transfer: ConnectToAgent,
        transcript: Transcript,
    },
    /// A transfer by the headers of our BYE.
    TransferByBye {
        headers: Vec<(String, String)>,
    },
    HangUp {
        headers: Vec<(String, String)>,
    },
}

impl Call {
    /// A call that has not started.
    pub fn new(seed: CallSeed, link: Link) -> Self {
        Self {
            link,
            journal: Journal::open(&seed),
            seed,
            phase: PhaseName::Offered,
            readiness: Readiness::default(),
            goal: None,
            attribute_names: vec![],
            way_out: WayOut::default(),
            ending: None,
            cores: None,
            on_air: None,
            presses: TwoWays::default(),
            children: Children::default(),
            way_back: false,
            deadline: None,
        }
    }

    pub(super) fn tenant(&self) -> &str {
        &self.seed.services.tenant.name
    }

    fn sip_call_id(&self) -> &str {
        self.seed.invite.headers.get("Call-ID").unwrap_or_default()
    }

    /// Agrees on audio and opens the port, or gives the response that refuses the INVITE.
    fn set_up_media(&mut self) -> Result<MediaSetUp, Response> {
        let port = self.open_port().map_err(|status| self.refusal(status))?;
        let offer = self.seed.invite.session_description().map_err(|_| self.refusal(StatusCode(415)))?;
        let (sdp, agreed) = match offer {
            None => (sdp::offer(&self.seed.media), None),
            Some(offer) => {
                let answered = sdp::answer(&offer, &self.seed.media);
                let (sdp, agreed) = answered.map_err(|refused| refused.told_in(self.refusal(refused.status())))?;
                (sdp, Some(agreed))
            }
        };
        Ok(MediaSetUp { sdp, agreed, port })
    }

    fn refusal(&self, status: StatusCode) -> Response {
        let response = self.seed.invite.respond(status, Some(&self.seed.local_tag));
        if status.0 == 503 { response.with("Retry-After", "5") } else { response }
    }

    /// Opens the leg's port. Where somebody else holds it another is drawn; any other error would be every port's.
    fn open_port(&mut self) -> Result<Box<dyn PacketPort>, StatusCode> {
        for held in 0..PORT_TRIES {
            let rtp = self.seed.ports.rtp();
            let error = match (self.seed.open_port)(rtp) {
                Ok(port) => {
                    if held > 0 {
                        tracing::warn!(
                            held,
                            "other programs hold ports of media.ports: they are left alone for a while"
                        );
                    }
                    self.seed.media.address.set_port(rtp);
                    return Ok(port);
                }
                Err(error) => error,
            };
            let fate = Fate::of_error(&error);
            self.seed.ports.goes_back_as(fate);
            if fate == Fate::NotOpened {
                tracing::error!(port = rtp, %error, "an RTP port could not be opened");
                return Err(StatusCode(503));
            }
            let Some(another) = self.seed.port_pool.draw(crate::now()) else { break };
            self.seed.ports = another;
        }
        tracing::error!("other programs hold the ports of media.ports that were tried");
        Err(StatusCode(503))
    }

    fn start(&mut self, ctx: &mut Context<Self>) -> Result<(), Response> {
        let MediaSetUp { sdp, agreed, port } = self.set_up_media()?;
        let seed = &self.seed;
        let uas = Uas::new(seed.invite.clone(), seed.key.clone(), seed.hop, &seed.local_tag, &seed.local)
            .map_err(|status| self.refusal(status))?;
        let services = &seed.services;
        let tenant = &services.tenant;
        let call = ctx.address();

        self.children.sip_dialog = Some(self.spawn(ctx, ChildName::SipDialog, |this, link| SipDialog {
            link,
            call: call.clone(),
            id: this.seed.id,
            drive: Drive::new(uas),
            invite: this.seed.key.clone(),
            sdp,
            media: this.seed.media.clone(),
            agreed: agreed.clone(),
            policy: tenant.before_answer,
            registry: Arc::clone(&this.seed.registry),
            endpoint: this.seed.endpoint.clone(),
            journal: this.journal.clone(),
        }));
        if tenant.ringing == Ringing::On {
            tell(&self.children.sip_dialog, Ring {});
        }

        let silence = services.media.silence;
        let beginning = Beginning {
            agreed: agreed.as_ref(),
            sip_source: seed.hop.remote.ip(),
            silence,
            media_timeout: services.media.timeout,
        };
        let cores = Rc::new(leg::cores(crate::now(), &beginning));
        self.cores = Some(Rc::clone(&cores));
        let jitter_buffer = self.spawn(ctx, ChildName::JitterBuffer, |this, link| JitterBuffer {
            link,
            call: call.clone(),
            cores: Rc::clone(&cores),
            agreed: agreed.clone(),
            silence,
            journal: this.journal.clone(),
        });
        let stt_stream = self.spawn(ctx, ChildName::SttStream, |this, link| {
            let services = &this.seed.services;
            let line_rate = cores.receiver.borrow().format().codec.sample_rate();
            let (recognizer, journal) = (Arc::clone(&services.recognizer), this.journal.clone());
            SttStream::new(link, call.clone(), &services.tenant.name, recognizer, line_rate, journal)
        });
        let tts_playback = self.spawn(ctx, ChildName::TtsPlayback, |this, link| TtsPlayback {
            link,
            call: call.clone(),
            tenant: this.tenant().to_owned(),
            cores: Rc::clone(&cores),
            synthesizer: Arc::clone(&this.seed.services.synthesizer),
            sounds: Arc::clone(&this.seed.services.sounds),
            waiting: VecDeque::new(),
            parts: Parts::default(),
            look: None,
            journal: this.journal.clone(),
        });
        let policy = services.conversation.clone();
        let turn_loop = self.spawn(ctx, ChildName::TurnLoop, |this, link| TurnLoop {
            link,
            call: call.clone(),
            tenant: this.tenant().to_owned(),
            drive: Drive::new(TurnLoopCore::new(this.seed.began, policy, &this.seed.facts())),
            assistant: Arc::clone(&this.seed.services.assistant),
            tries: Tries::default(),
            journal: this.journal.clone(),
            read: 0,
            revised: 0,
        });
        let connect_handoff = self.spawn(ctx, ChildName::ConnectHandoff, |this, link| {
            let services = &this.seed.services;
            ConnectHandoff {
                link,
                call: call.clone(),
                id: this.seed.id,
                tenant: services.tenant.name.clone(),
                core: Handoff::new(this.seed.contact.initial_contact_id.clone()),
                attributes: Arc::clone(&services.attributes),
                blanker: Arc::clone(&services.blanker),
                histories: Arc::clone(&services.histories),
                history: None,
                committed_at: None,
            }
        });

        let listeners = LegListeners {
            recording: begin_recording(&self.seed, &cores),
            jitter_buffer: jitter_buffer.address.clone(),
            stt_stream: stt_stream.address.clone(),
            tts_playback: tts_playback.address.clone(),
        };
        self.on_air = Some(Shard::current().register(Leg { port, cores, events: Box::new(listeners) }));
        self.children.jitter_buffer = Some(jitter_buffer);
        self.children.stt_stream = Some(stt_stream);
        self.children.tts_playback = Some(tts_playback);
        self.children.turn_loop = Some(turn_loop);
        self.children.connect_handoff = Some(connect_handoff);
        tell(&self.children.turn_loop, Begin {});
        Ok(())
    }

    fn spawn<A: Actor<Context = Context<A>>>(
        &self,
        ctx: &mut Context<Self>,
        child: ChildName,
        build: impl FnOnce(&Self, Link) -> A,
    ) -> Linked<A> {
        let call = ctx.address();
        spawn_linked(child, CHILD_MAILBOX, move |down| call.do_send(down), |_, link| build(self, link))
    }

    /// Enters a phase; a failure drill for it strikes now.
    pub(super) fn enter(&mut self, phase: PhaseName, ctx: &mut Context<Self>) {
        self.phase = phase;
        tracing::debug!(call = %self.seed.id, tenant = self.tenant(), phase = phase.label(), "phase");
        let Some(drill) = self.seed.drill.filter(|drill| drill.phase == phase) else { return };
        let (fault, children) = (Strike(drill.fault), &self.children);
        match drill.fault {
            Fault::KillEndpoint => return self.seed.endpoint.do_send(fault),
            Fault::KillReception => return self.seed.reception.do_send(fault),
            Fault::Error | Fault::Panic | Fault::BlockThread | Fault::KillShard => {}
        }
        match drill.child {
            ChildName::Call => strike(drill.fault, &self.link, ctx),
            ChildName::SipDialog => tell(&children.sip_dialog, fault),
            ChildName::JitterBuffer => tell(&children.jitter_buffer, fault),
            ChildName::SttStream => tell(&children.stt_stream, fault),
            ChildName::TtsPlayback => tell(&children.tts_playback, fault),
            ChildName::TurnLoop => tell(&children.turn_loop, fault),
            ChildName::ConnectHandoff => tell(&children.connect_handoff, fault),
        }
    }

    pub(super) fn no_deadline(&mut self, ctx: &mut Context<Self>) {
        if let Some(handle) = self.deadline.take() {
            ctx.cancel_future(handle);
        }
    }

    /// What shall happen if this phase lasts too long.
    pub(super) fn within(&mut self, limit: Duration, ctx: &mut Context<Self>, then: fn(&mut Self, &mut Context<Self>)) {
        self.no_deadline(ctx);
        let due = crate::now() + limit;
        self.deadline = Some(ctx.run_later(limit, move |this, ctx| {
            this.deadline = None;
            // Nobody ran when it passed: who was about to answer gets to.
            if was_away(due, crate::now()) {
                return this.within(GRACE, ctx, then);
            }
            then(this, ctx);
        }));
    }

    pub(super) fn pause_recording(&self, paused: bool) {
        let Some(cores) = &self.cores else { return };
        if let Some(recorder) = cores.recorder.borrow_mut().as_mut() {
            recorder.pause(paused);
        }
    }

    /// Keys go by INFO where telephone-event was not agreed on and the far end says that it takes INFO.
    pub(super) fn keys_go_by_info(&self) -> bool {
        let allow = self.seed.invite.headers.list("Allow");
        let events = self.cores.as_ref().is_some_and(|cores| cores.playout.borrow().format().telephone_event.is_some());
        !events && allow.iter().any(|method| method.eq_ignore_ascii_case("INFO"))
    }

    pub(super) fn answer_when_ready(&mut self, ctx: &mut Context<Self>) {
        let ready = self.readiness.recognizer && (self.readiness.greeting || self.goal.is_some());
        if self.phase == PhaseName::Offered && ready {
            self.answer(ctx);
        }
    }

    pub(super) fn answer(&mut self, ctx: &mut Context<Self>) {
        if self.phase != PhaseName::Offered {
            return;
        }
        tell(&self.children.sip_dialog, Answer {});
        metrics::call_answered(self.tenant(), crate::now() - self.seed.began);
        self.journal.write(|record, now| record.answered(now));
        // The dialog bounds this phase itself: 64*T1 for the ACK.
        self.enter(PhaseName::Answering, ctx);
    }

    pub(super) fn confirmed(&mut self, ctx: &mut Context<Self>) {
        self.seed.unacknowledged.clear();
        if self.phase != PhaseName::Answering {
            return;
        }
        if self.is_failing_over() {
            return self.last_words_of_failure(ctx);
        }
        self.enter(PhaseName::Talking, ctx);
        self.pursue(ctx);
    }

    /// Works towards the goal once the call talks.
    pub(super) fn pursue(&mut self, ctx: &mut Context<Self>) {
        if self.phase != PhaseName::Talking {
            return;
        }
        match &self.goal {
            None => {}
            Some(Goal::HandOff { transfer: transfer @ ConnectToAgent { sip: Some(target), .. }, transcript })
                if self.seed.services.instance.is_none() =>
            {
                let history = self.history(transfer, transcript);
                let target = target.clone();
                self.prepare_transfer(target, history, ctx);
            }
            Some(Goal::HandOff { transfer, transcript }) => {
                let history = self.history(transfer, transcript);
                let order = PrepareHandoff { transfer: transfer.clone(), history };
                tell(&self.children.connect_handoff, order);
                self.enter(PhaseName::Preparing, ctx);
                self.within(PREPARE_MAX + Duration::from_secs(1), ctx, |this, ctx| {
                    this.overdue(ChildName::ConnectHandoff, ctx);
                });
            }
            Some(Goal::HangUp { .. } | Goal::TransferByBye { .. }) => self.quiet(ctx),
        }
    }

    /// What the agent will read.
    fn history(&self, transfer: &ConnectToAgent, transcript: &Transcript) -> History {
        let age = crate::now() - self.seed.began;
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let record = SessionRecord {
            caller: self.seed.caller.clone(),
            dialled: self.seed.dialled.clone(),
            began_unix_ms: since_1970.saturating_sub(age).as_millis() as i64,
            transcript: transcript.clone(),
            ..SessionRecord::default()
        };
        let (attributes, _) = ContactAttributes::from_custom_data(transfer.custom_data.as_ref());
        let redaction = &self.seed.services.conversation.redaction;
        let mut record = record.handed_over(transfer, attributes.iter(), redaction);
        record.transcript = self.tell_of_custom_data(transfer, transcript);
        History { tenant: self.tenant().to_owned(), json: record.to_json() }
    }

    /// Stops everybody but SipDialog and ConnectHandoff, and finds out whether a BYE would arrive: the key is spent last and
    /// alone, and never where nobody could be told.
    pub(super) fn quiet(&mut self, ctx: &mut Context<Self>) {
        let by = crate::now() + QUIET_MAX;
        self.enter(PhaseName::Quieting, ctx);
        tell(&self.children.turn_loop, Stop { by });
        tell(&self.children.tts_playback, Stop { by });
        tell(&self.children.stt_stream, Stop { by });
        tell(&self.children.jitter_buffer, Stop { by });
        self.way_back = false;
        tell(&self.children.sip_dialog, FindWayBack {});
        self.within(QUIET_MAX, ctx, |this, ctx| match this.children.quieting().first() {
            Some(late) => this.overdue(*late, ctx),
            None => this.within(WAY_BACK_MAX, ctx, |this, ctx| this.way_back(false, ctx)),
        });
    }

    /// It is known whether a BYE would reach the far end.
    pub(super) fn way_back(&mut self, known: bool, ctx: &mut Context<Self>) {
        if self.phase != PhaseName::Quieting {
            return;
        }
        if !known {
            let failure = Broken::Failure(Failure::NoWayBack);
            return self.fail(Ending::Failed { child: ChildName::SipDialog, failure }, ctx);
        }
        self.way_back = true;
        self.commit_when_quiet(ctx);
    }

    pub(super) fn commit_when_quiet(&mut self, ctx: &mut Context<Self>) {
        let quiet = self.children.quieting().is_empty() && self.way_back;
        if self.phase != PhaseName::Quieting || !quiet {
            return;
        }
        self.on_air = None;
        if let Some(Goal::TransferByBye { headers }) = &mut self.goal {
            let headers = std::mem::take(headers);
            return self.leave_with(Ending::Transferred, headers, ctx);
        }
        let contact_id = self.seed.contact.initial_contact_id.clone();
        // From here on whoever opens the will takes the key back first.
        let blanker = Arc::clone(&self.seed.services.blanker);
        let mut names = std::mem::take(&mut self.attribute_names);
        if names.is_empty() {
            names.push(ATTRIBUTE.to_owned());
        }
        let blank = contact_id.map(|contact_id| Blank { blanker, contact_id, names });
        self.seed.registry.deposit_blank(self.seed.id, blank);
        match &self.goal {
            Some(Goal::HandOff { .. }) => tell(&self.children.connect_handoff, CommitHandoff {}),
            _ => tell(&self.children.connect_handoff, MarkHangup {}),
        }
        self.enter(PhaseName::Committing, ctx);
        self.within(COMMIT_MAX, ctx, |this, ctx| {
            let overdue = Ending::Failed { child: ChildName::ConnectHandoff, failure: Broken::Overdue };
            let ending = this.ending.take().unwrap_or(overdue);
            if ending == Ending::CallerHungUp {
                this.seed.registry.deposit_blank(this.seed.id, None);
            }
            this.leave(ending, ctx);
        });
    }

    /// A commit in flight is known: the attribute is there, or why it is not.
    pub(super) fn outcome(&mut self, outcome: Result<(), Failure>, ctx: &mut Context<Self>) {
        if self.phase != PhaseName::Committing {
            return;
        }
        match self.ending.take() {
            // The caller is gone: the contact is over, nothing is taken back.
            Some(Ending::CallerHungUp) => {
                self.seed.registry.deposit_blank(self.seed.id, None);
                self.leave(Ending::CallerHungUp, ctx);
            }
            // A failure came first: what landed is taken back by who opens the will.
            Some(failed) => {
                if outcome.is_err() {
                    self.seed.registry.deposit_blank(self.seed.id, None);
                }
                self.leave(failed, ctx);
            }
            None => {
                self.seed.registry.deposit_blank(self.seed.id, None);
                match outcome {
                    Ok(()) => {
                        self.enter(PhaseName::HandedOff, ctx);
                        self.leave(self.success(), ctx);
                    }
                    Err(failure) => {
                        let failure = Broken::Failure(failure);
                        self.leave(Ending::Failed { child: ChildName::ConnectHandoff, failure }, ctx);
                    }
                }
            }
        }
    }

    fn success(&self) -> Ending {
        match self.goal {
            Some(Goal::HandOff { .. }) => Ending::HandedOff,
            Some(Goal::TransferByBye { .. }) => Ending::Transferred,
            Some(Goal::HangUp { .. }) | None => Ending::AssistantEnded,
        }
    }

    fn overdue(&mut self, child: ChildName, ctx: &mut Context<Self>) {
        self.fail(Ending::Failed { child, failure: Broken::Overdue }, ctx);
    }

    pub(super) fn fail(&mut self, ending: Ending, ctx: &mut Context<Self>) {
        if self.can_fail_over(&ending) {
            return self.fail_over(ending, ctx);
        }
        self.end_as(self.phase.on_failure(), ending, ctx);
    }

    pub(super) fn end_as(&mut self, how: OnFailure, ending: Ending, ctx: &mut Context<Self>) {
        match how {
            OnFailure::Leave => self.leave_for(ending, ctx),
            OnFailure::AwaitOutcomeThenBlank | OnFailure::AwaitOutcome => {
                if self.children.connect_handoff.is_none() {
                    return self.leave(ending, ctx);
                }
                self.ending.get_or_insert(ending);
            }
            OnFailure::LeaveHandedOff => self.leave(self.success(), ctx),
            OnFailure::Ignore => tracing::debug!(call = %self.seed.id, ?ending, "too late to matter"),
        }
    }

    /// The one way out: say goodbye first, then tear down.
    pub(super) fn leave(&mut self, ending: Ending, ctx: &mut Context<Self>) {
        let headers = match (&self.goal, &ending) {
            (Some(Goal::HangUp { headers }), Ending::AssistantEnded) => headers.clone(),
            _ => vec![],
        };
        self.leave_with(ending, headers, ctx);
    }

    /// The same, with headers of the tenant's own on the BYE.
    pub(super) fn leave_with(&mut self, ending: Ending, headers: Vec<(String, String)>, ctx: &mut Context<Self>) {
        if self.phase == PhaseName::Leaving {
            return;
        }
        self.phase = PhaseName::Leaving;
        tracing::info!(
            call = %self.seed.id,
            tenant = self.tenant(),
            sip_call_id = self.sip_call_id(),
            reason = ending.label(),
            detail = ?ending,
            "call ended"
        );
        if let Some(quality) = self.cores.as_deref().and_then(leg::quality) {
            metrics::call_quality(self.tenant(), &quality);
            tracing::info!(
                call = %self.seed.id,
                loss = quality.loss,
                jitter_ms = quality.jitter.as_millis(),
                round_trip_ms = quality.round_trip.map(|trip| trip.as_millis()),
                far_end_loss = quality.far_end_loss,
                mos = quality.mean_opinion_score,
                "call audio"
            );
        }
        self.journal.end(&ending, self.cores.as_deref(), self.seed.registry.farewell(self.seed.id));
        self.seed.reception.do_send(CallEnded { id: self.seed.id, ending, headers });
        self.on_air = None;
        self.children.stop_all();
        self.within(TEARDOWN_MAX, ctx, |this, ctx| {
            this.children.abandon_all();
            this.finish(ctx);
        });
        self.finish_when_empty(ctx);
    }

    pub(super) fn finish_when_empty(&mut self, ctx: &mut Context<Self>) {
        if self.children.live().is_empty() {
            self.finish(ctx);
        }
    }

    fn finish(&mut self, ctx: &mut Context<Self>) {
        self.journal.hand_in();
        self.link.exit(Exit::Finished);
        ctx.stop();
    }
}

/// Begins the recording, if the tenant wants one.
fn begin_recording(seed: &CallSeed, cores: &LegCores) -> Option<RefCell<Box<dyn RecordingSink>>> {
    let recorder = seed.services.recorder.as_ref()?;
    let sample_rate = cores.receiver.borrow().format().codec.sample_rate();
    cores.recorder.replace(Some(Recorder::new(sample_rate)));
    cores.playout.borrow_mut().monitor();
    Some(RefCell::new(recorder.begin(seed.id, sample_rate)))
}

struct MediaSetUp {
    sdp: String,
    agreed: Option<Agreed>,
    port: Box<dyn PacketPort>,
}

impl Actor for Call {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        tracing::info!(
            call = %self.seed.id,
            tenant = self.tenant(),
            sip_call_id = self.sip_call_id(),
            contact_known = self.seed.contact.initial_contact_id.is_some(),
            "call began"
        );
        if let Some(why) = self.seed.contact.unknown {
            self.journal.write(|record, now| record.warn(now, "contact_unknown", why.sentence()));
        }
        if let Err(response) = self.start(ctx) {
            let status = response.status;
            self.seed.registry.deposit(self.seed.id, Farewell::Reject { key: self.seed.key.clone(), response });
            let refusal = if status.0 == 503 { Refusal::NoPorts } else { Refusal::NotAcceptable };
            return self.leave(Ending::Refused(refusal), ctx);
        }
        ctx.run_interval(BEAT_EVERY, |this, _| this.seed.registry.beat(this.seed.id, crate::now()));
        ctx.run_later(CALL_AGE_MAX, |this, ctx| this.fail(Ending::TooLong, ctx));
        self.within(SETUP_MAX, ctx, |this, ctx| this.answer(ctx));
        self.enter(PhaseName::Offered, ctx);
    }
}
