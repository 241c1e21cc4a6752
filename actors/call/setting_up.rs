//! How a call is set up: the audio that is agreed on, the port, and the children in their order.
//!
//! Invariant: nothing of a call that cannot be set up stays behind; the INVITE is refused.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use actix::{Actor, AsyncContext, Context};
use bellhop_call::failure::ChildName;
use bellhop_connect::handoff::Handoff;
use bellhop_dialogue::TurnLoop as TurnLoopCore;
use bellhop_dialogue::turn_loop::Tries;
use bellhop_media::parts::Parts;
use bellhop_media::recording::Recorder;
use bellhop_sip::dialog::acceptor::Uas;
use bellhop_sip::message::{Response, StatusCode};
use bellhop_sip::sdp::{self, Agreed};
use bellhop_tenancy::tenant::Ringing;

use super::children::tell;
use super::connect_handoff::ConnectHandoff;
use super::jitter_buffer::JitterBuffer;
use super::leg::{self, Beginning, LegListeners};
use super::messages::{Begin, Ring};
use super::sip_dialog::SipDialog;
use super::stt_stream::SttStream;
use super::supervisor::Call;
use super::tts_playback::TtsPlayback;
use super::turn_loop::TurnLoop;
use super::{CHILD_MAILBOX, CallSeed, PORT_TRIES};
use crate::drive::Drive;
use crate::media_shard::{Leg, LegCores, PacketPort, Shard};
use crate::reception::port_pool::Fate;
use crate::services::RecordingSink;
use crate::supervision::{Link, Linked, spawn_linked};

impl Call {
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

    pub(super) fn start(&mut self, ctx: &mut Context<Self>) -> Result<(), Response> {
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
