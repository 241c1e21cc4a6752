//! How a call is set up: the audio that is agreed on, the port, and the children in their order.
//!
//! Invariant: nothing of a call that cannot be set up stays behind; the INVITE is refused.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use actix::{Addr, AsyncContext, Context, Recipient};
use bellhop_call::failure::ChildName;
use bellhop_dialogue::turn_loop;
use bellhop_media::recording::Recorder;
use bellhop_sip::dialog::acceptor::Acceptor;
use bellhop_sip::message::{Response, StatusCode};
use bellhop_sip::sdp::{self, Agreed};
use bellhop_tenancy::integration::Ringing;

use super::children::tell;
use super::connect_handoff::ConnectHandoff;
use super::jitter_buffer::JitterBuffer;
use super::journal::Journal;
use super::leg::{self, Beginning};
use super::leg_listeners::LegListeners;
use super::messages::{DigitPressed, Ring};
use super::sip_dialog::SipDialog;
use super::stt_stream::SttStream;
use super::supervisor::Call;
use super::tts_playback::TtsPlayback;
use super::turn_loop::{SpeaksTo, TurnLoop};
use super::{CHILD_MAILBOX, NewCall, PORT_TRIES, Reports};
use crate::drive::{Drive, Tell};
use crate::media_shard::{Leg, LegCores, PacketPort, Shard};
use crate::node::port_pool::Fate;
use crate::services::RecordingSink;
use crate::supervision::{ChildDown, Link, Prepared};

impl Call {
    /// Agrees on audio and opens the port, or gives the response that refuses the INVITE.
    fn set_up_media(&mut self) -> Result<MediaSetUp, Response> {
        let port = self.open_port().map_err(|status| self.refusal(status))?;
        let offer = self.new_call.invite.session_description().map_err(|_| self.refusal(StatusCode(415)))?;
        let (sdp, agreed) = match offer {
            None => (sdp::offer(&self.new_call.media), None),
            Some(offer) => {
                let answered = sdp::answer(&offer, &self.new_call.media);
                let (sdp, agreed) = answered.map_err(|refused| refused.told_in(self.refusal(refused.status())))?;
                (sdp, Some(agreed))
            }
        };
        Ok(MediaSetUp { sdp, agreed, port })
    }

    fn refusal(&self, status: StatusCode) -> Response {
        let response = self.new_call.invite.respond(status, Some(&self.new_call.local_tag));
        if status.0 == 503 { response.with("Retry-After", "5") } else { response }
    }

    /// Opens the leg's port. Where somebody else holds it another is drawn; any other error would be every port's.
    fn open_port(&mut self) -> Result<Box<dyn PacketPort>, StatusCode> {
        for held in 0..PORT_TRIES {
            let rtp = self.new_call.ports.rtp();
            let error = match (self.new_call.open_port)(rtp) {
                Ok(port) => {
                    if held > 0 {
                        tracing::warn!(
                            held,
                            "other programs hold ports of media.ports: they are left alone for a while"
                        );
                    }
                    self.new_call.media.address.set_port(rtp);
                    return Ok(port);
                }
                Err(error) => error,
            };
            let fate = Fate::of_error(&error);
            self.new_call.ports.goes_back_as(fate);
            if fate == Fate::NotOpened {
                tracing::error!(port = rtp, %error, "an RTP port could not be opened");
                return Err(StatusCode(503));
            }
            let Some(another) = self.new_call.port_pool.draw(crate::now()) else { break };
            self.new_call.ports = another;
        }
        tracing::error!("other programs hold the ports of media.ports that were tried");
        Err(StatusCode(503))
    }

    /// Whether the far end takes keys by INFO.
    fn far_end_takes_info(&self) -> bool {
        self.new_call.invite.headers.list("Allow").iter().any(|method| method.eq_ignore_ascii_case("INFO"))
    }

    /// Starts the leg and the children, each with the addresses of those it speaks to.
    pub(super) fn start(&mut self, ctx: &mut Context<Self>) -> Result<(), Response> {
        let MediaSetUp { sdp, agreed, port } = self.set_up_media()?;
        let new_call = &self.new_call;
        let dialog = Acceptor::new(
            new_call.invite.clone(),
            new_call.key.clone(),
            new_call.hop,
            &new_call.local_tag,
            &new_call.local,
        )
        .map_err(|status| self.refusal(status))?;
        let beginning = Beginning {
            agreed: agreed.as_ref(),
            sip_source: new_call.hop.remote.ip(),
            silence: new_call.services.media.silence,
            media_timeout: new_call.services.media.timeout,
        };
        let cores = Rc::new(leg::cores(crate::now(), &beginning));
        self.cores = Some(Rc::clone(&cores));

        let nursery = Nursery::default();
        let listeners = LegListeners {
            recording: begin_recording(new_call, &cores),
            jitter_buffer: nursery.jitter_buffer.address(),
            stt_stream: nursery.stt_stream.address(),
            tts_playback: nursery.tts_playback.address(),
        };
        self.start_children(nursery, Described { dialog, sdp, agreed }, &cores, ctx);
        self.new_call.set_up();
        self.leg = Some(Shard::current().register(Leg { port, cores, events: Box::new(listeners) }));
        if self.new_call.services.integration.ringing == Ringing::On {
            tell(&self.children.sip_dialog, Ring {});
        }
        tell(&self.children.turn_loop, Tell(turn_loop::Input::Begin));
        Ok(())
    }

    /// In their order: SipDialog first.
    fn start_children(
        &mut self,
        nursery: Nursery,
        described: Described,
        cores: &Rc<LegCores>,
        ctx: &mut Context<Self>,
    ) {
        let Self { new_call, journal, children, .. } = self;
        let (call, journal) = (ctx.address().recipient(), &*journal);
        let down = || {
            let call = ctx.address();
            move |down: ChildDown| call.do_send(down)
        };
        let agreed = described.agreed.clone();
        let (sip_dialog, jitter_buffer) = (nursery.sip_dialog.address(), nursery.jitter_buffer.address());
        let (stt_stream, tts_playback) = (nursery.stt_stream.address(), nursery.tts_playback.address());
        let (turn_loop, digits) = (nursery.turn_loop.address().recipient(), nursery.turn_loop.address().recipient());
        let started = nursery.sip_dialog.start(ChildName::SipDialog, down(), |_, link| {
            let (stt_stream, digits) = (stt_stream.clone(), digits.clone());
            let listeners = DialogListeners { call: call.clone(), jitter_buffer, stt_stream, digits };
            sip_dialog_of(new_call, link, listeners, described, journal.clone())
        });
        children.sip_dialog = Some(started);
        let started = nursery.jitter_buffer.start(ChildName::JitterBuffer, down(), |_, link| JitterBuffer {
            link,
            call: call.clone(),
            turn_loop: turn_loop.clone(),
            digits,
            cores: Rc::clone(cores),
            agreed,
            silence: new_call.services.media.silence,
            journal: journal.clone(),
        });
        children.jitter_buffer = Some(started);
        let started = nursery.stt_stream.start(ChildName::SttStream, down(), |_, link| {
            let line_rate = cores.receiver.borrow().format().codec.sample_rate();
            SttStream::new(link, (call.clone(), turn_loop.clone()), &new_call.services, line_rate, journal.clone())
        });
        children.stt_stream = Some(started);
        let started = nursery.tts_playback.start(ChildName::TtsPlayback, down(), |_, link| {
            let speaks_to = (call.clone(), turn_loop.clone());
            TtsPlayback::new(link, speaks_to, &new_call.services, Rc::clone(cores), journal.clone())
        });
        children.tts_playback = Some(started);
        let takes_info = self.far_end_takes_info();
        let Self { new_call, journal, children, .. } = self;
        let started = nursery.turn_loop.start(ChildName::TurnLoop, down(), |_, link| {
            let speaks_to = SpeaksTo { call: call.clone(), sip_dialog, stt_stream, tts_playback };
            TurnLoop::new(link, speaks_to, new_call, Rc::clone(cores), takes_info, journal.clone())
        });
        children.turn_loop = Some(started);
        let started = nursery
            .connect_handoff
            .start(ChildName::ConnectHandoff, down(), |_, link| ConnectHandoff::new(link, call.clone(), new_call));
        children.connect_handoff = Some(started);
    }
}

/// The mailboxes of the children before they live: they have each other's addresses from the start.
struct Nursery {
    sip_dialog: Prepared<SipDialog>,
    jitter_buffer: Prepared<JitterBuffer>,
    stt_stream: Prepared<SttStream>,
    tts_playback: Prepared<TtsPlayback>,
    turn_loop: Prepared<TurnLoop>,
    connect_handoff: Prepared<ConnectHandoff>,
}

impl Default for Nursery {
    fn default() -> Self {
        Self {
            sip_dialog: Prepared::new(CHILD_MAILBOX),
            jitter_buffer: Prepared::new(CHILD_MAILBOX),
            stt_stream: Prepared::new(CHILD_MAILBOX),
            tts_playback: Prepared::new(CHILD_MAILBOX),
            turn_loop: Prepared::new(CHILD_MAILBOX),
            connect_handoff: Prepared::new(CHILD_MAILBOX),
        }
    }
}

/// Whom the dialog speaks to.
struct DialogListeners {
    call: Reports,
    jitter_buffer: Addr<JitterBuffer>,
    stt_stream: Addr<SttStream>,
    digits: Recipient<DigitPressed>,
}

fn sip_dialog_of(
    new_call: &NewCall,
    link: Link,
    listeners: DialogListeners,
    described: Described,
    journal: Journal,
) -> SipDialog {
    let DialogListeners { call, jitter_buffer, stt_stream, digits } = listeners;
    let Described { dialog, sdp, agreed } = described;
    SipDialog {
        link,
        call,
        jitter_buffer,
        stt_stream,
        digits,
        id: new_call.id,
        drive: Drive::new(dialog),
        invite: new_call.key.clone(),
        sdp,
        media: new_call.media.clone(),
        agreed,
        policy: new_call.services.integration.before_answer,
        registry: Arc::clone(&new_call.registry),
        endpoint: new_call.endpoint.clone(),
        journal,
    }
}

/// The dialog with our side of the session, and what was agreed on if the offer was the far end's.
struct Described {
    dialog: Acceptor,
    sdp: String,
    agreed: Option<Agreed>,
}

/// Begins the recording, if the tenant wants one.
fn begin_recording(new_call: &NewCall, cores: &LegCores) -> Option<RefCell<Box<dyn RecordingSink>>> {
    let recorder = new_call.services.recorder.as_ref()?;
    let sample_rate = cores.receiver.borrow().format().codec.sample_rate();
    cores.recorder.replace(Some(Recorder::new(sample_rate)));
    cores.playout.borrow_mut().monitor();
    Some(RefCell::new(recorder.begin(new_call.id, sample_rate)))
}

struct MediaSetUp {
    sdp: String,
    agreed: Option<Agreed>,
    port: Box<dyn PacketPort>,
}
