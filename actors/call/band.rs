//! `band_preference`: before the call is answered, the assistant may choose the band of the line.
//!
//! Afterwards the codec is agreed on and stays. Invariant: what is answered, what is played and what is listened to are of
//! the same codec.

use actix::Context;
use bellhop_call::lifecycle::Input;
use bellhop_dialogue::{Fields, Json};
use bellhop_sip::sdp::{self, Codec};

use super::children::tell;
use super::messages::{LineChanged, MediaPlanned, Redescribe};
use super::supervisor::Call;
use crate::drive::put;
use bellhop_call::phase::PhaseName;

impl Call {
    /// Puts the codecs of the preferred band first, and answers the offer anew if that makes a difference.
    pub(super) fn prefer_band(&mut self, fields: &Fields, ctx: &mut Context<Self>) {
        let broad = match fields.get("band_preference").and_then(Json::as_str) {
            Some("broadband") => true,
            Some("narrowband") => false,
            _ => return,
        };
        // An offer of ours names all codecs in the tenant's order; the far end chooses.
        let offer = self.seed.invite.session_description().ok().flatten();
        let Some(offer) = offer.filter(|_| self.state() == PhaseName::Offered) else { return };
        let mut media = self.seed.media.clone();
        let mut codecs = media.codecs.to_vec();
        codecs.sort_by_key(|codec| matches!(codec, Codec::G722 | Codec::Opus) != broad);
        media.codecs = codecs.into();
        let Ok((sdp, agreed)) = sdp::answer(&offer, &media) else { return };
        let before = self.cores.as_ref().map(|cores| cores.receiver.borrow().format().codec);
        tell(&self.children.jitter_buffer, MediaPlanned { agreed: agreed.clone() });
        self.seed.media = media.clone();
        let after = super::leg::codec_of(&agreed);
        if before.is_some_and(|before| before.sample_rate() != after.sample_rate()) {
            put(self, ctx, Input::LineChanged);
            tell(&self.children.stt_stream, LineChanged { line_rate: after.sample_rate() });
        }
        tell(&self.children.sip_dialog, Redescribe { media, sdp, agreed });
    }
}
