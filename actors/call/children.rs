//! The children of a call, in the order of their start: spoken to, stopped and dropped together.
//!
//! Invariant: whoever is in here lives as far as anybody knows; an obituary takes it out.

use actix::dev::ToEnvelope;
use actix::{Actor, Handler, Message};

use bellhop_call::lifecycle::TEARDOWN_MAX;

use super::connect_handoff::ConnectHandoff;
use super::jitter_buffer::JitterBuffer;
use super::sip_dialog::SipDialog;
use super::stt_stream::SttStream;
use super::tts_playback::TtsPlayback;
use super::turn_loop::TurnLoop;
use crate::supervision::{ChildName, Linked, Stop, Strike};

#[derive(Default)]
pub(super) struct Children {
    pub(super) sip_dialog: Option<Linked<SipDialog>>,
    pub(super) jitter_buffer: Option<Linked<JitterBuffer>>,
    pub(super) stt_stream: Option<Linked<SttStream>>,
    pub(super) tts_playback: Option<Linked<TtsPlayback>>,
    pub(super) turn_loop: Option<Linked<TurnLoop>>,
    pub(super) connect_handoff: Option<Linked<ConnectHandoff>>,
}

/// Orders and reports are control: always delivered, and a child that is gone is reported by its obituary.
pub(super) fn tell<A, M>(child: &Option<Linked<A>>, message: M)
where
    A: Actor + Handler<M>,
    A::Context: ToEnvelope<A, M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    if let Some(child) = child {
        child.address.do_send(message);
    }
}

/// In reverse order of start: SipDialog last.
macro_rules! each_child {
    ($children:expr, |$slot:ident, $name:ident| $body:expr) => {
        each_child!(@ $children, $slot, $name, $body,
            connect_handoff ConnectHandoff, turn_loop TurnLoop, tts_playback TtsPlayback, stt_stream SttStream,
            jitter_buffer JitterBuffer, sip_dialog SipDialog)
    };
    (@ $children:expr, $slot:ident, $name:ident, $body:expr, $($field:ident $child:ident),+) => {
        $({
            let ($slot, $name) = (&$children.$field, ChildName::$child);
            $body;
        })+
    };
}

impl Children {
    pub(super) fn stop(&self, child: ChildName, stop: Stop) {
        each_child!(self, |slot, name| if name == child {
            tell(slot, stop);
        });
    }

    pub(super) fn strike(&self, child: ChildName, strike: Strike) {
        each_child!(self, |slot, name| if name == child {
            tell(slot, strike);
        });
    }

    pub(super) fn stop_all(&self) {
        let by = crate::now() + TEARDOWN_MAX;
        each_child!(self, |slot, _name| tell(slot, Stop { by }));
    }

    pub(super) fn abandon_all(&self) {
        each_child!(self, |slot, _name| if let Some(child) = slot {
            child.abandon();
        });
    }

    pub(super) fn forget(&mut self, child: ChildName) {
        match child {
            ChildName::Call => {}
            ChildName::SipDialog => self.sip_dialog = None,
            ChildName::JitterBuffer => self.jitter_buffer = None,
            ChildName::SttStream => self.stt_stream = None,
            ChildName::TtsPlayback => self.tts_playback = None,
            ChildName::TurnLoop => self.turn_loop = None,
            ChildName::ConnectHandoff => self.connect_handoff = None,
        }
    }
}
