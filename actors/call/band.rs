//! `band_preference`: before the call is answered, the assistant may choose the band of the line.
//!
//! Afterwards the codec is agreed on and stays. Invariant: what is answered, what is played and what is listened to are of
//! the same codec.

use bellhop_call::{lifecycle, speech_in};
use bellhop_sip::sdp::{self, Codec};

use super::leg;
use super::messages::MediaPlanned;
use super::sip_dialog::SipDialog;
use crate::drive::Tell;

impl SipDialog {
    /// Puts the codecs of the preferred band first, and answers the offer anew if that makes a difference.
    pub(super) fn prefer_band(&mut self, broad: bool) {
        // An offer of ours names all codecs in the tenant's order; the far end chooses.
        let Some(offer) = self.drive.core.unanswered_offer() else { return };
        let mut media = self.media.clone();
        let mut codecs = media.codecs.to_vec();
        codecs.sort_by_key(|codec| matches!(codec, Codec::G722 | Codec::Opus) != broad);
        media.codecs = codecs.into();
        let Ok((sdp, agreed)) = sdp::answer(&offer, &media) else { return };
        let before = self.agreed.as_ref().map(leg::codec_of);
        let after = leg::codec_of(&agreed);
        self.jitter_buffer.do_send(MediaPlanned { agreed: agreed.clone() });
        if before.is_some_and(|before| before.sample_rate() != after.sample_rate()) {
            self.call.do_send(Tell(lifecycle::Input::LineChanged));
            self.stt_stream.do_send(Tell(speech_in::Input::LineChanged { line_rate: after.sample_rate() }));
        }
        (self.media, self.sdp, self.agreed) = (media, sdp, Some(agreed));
        self.deposit_plan();
    }
}
