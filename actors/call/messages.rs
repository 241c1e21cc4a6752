//! What the actors of a call are told beside the inputs of their cores. Orders are imperatives, reports are past tense, data
//! are nouns.
//!
//! What a core takes has no message of its own: it comes as [`Tell`](crate::drive::Tell), under the core's name for it.

use actix::Message;
use bellhop_call::ending::Ending;
use bellhop_dialogue::response::{ConnectToAgent, DtmfSend};
use bellhop_media::dtmf::rfc4733::Press;
use bellhop_media::dtmf::two_ways::Way;

use crate::node::call_registry::{CallId, Void};

macro_rules! messages {
    ($($(#[$doc:meta])* $name:ident $body:tt)+) => {
        $(messages!(@one $(#[$doc])* $name $body);)+
    };
    (@one $(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident: $type:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Message)]
        #[rtype(result = "()")]
        pub struct $name { $($(#[$fdoc])* pub $field: $type),* }
    };
}

messages! {
    // To SipDialog
    /// Send 180.
    Ring {}
    /// Send the 200.
    Answer {}
    /// Put the codecs of a band first, as long as the offer is not answered.
    PreferBand {
        /// 16 kHz before 8 kHz.
        broad: bool,
    }
    /// Make sure that a BYE would reach the far end.
    FindWayBack {}
    /// Put the far end on hold.
    Hold {}
    /// End the hold.
    EndHold {}
    /// Send digits by INFO.
    SendDigitsByInfo {
        /// The digits, with their lengths and pauses in milliseconds.
        digits: DtmfSend,
    }

    // To JitterBuffer
    /// Other audio will be agreed on; the leg still rests.
    MediaPlanned {
        /// Codec, payload types and far end, as offer and answer agreed on them.
        agreed: bellhop_sip::sdp::Agreed,
    }
    /// The far end named a new address for its audio.
    MediaMoved {
        /// What was agreed on.
        agreed: bellhop_sip::sdp::Agreed,
    }

    // JitterBuffer, SipDialog -> TurnLoop
    /// A digit was pressed; perhaps it comes by the other way too.
    DigitPressed {
        /// Which, and for how long.
        press: Press,
        /// How it came.
        way: Way,
    }

    // To ConnectHandoff
    /// Store the history and have a key ready.
    PrepareHandoff {
        /// What the assistant asked for: the target, or the text for the agent.
        transfer: ConnectToAgent,
        /// The history.
        history: bellhop_connect::ports::History,
    }
    /// Store the history for a transfer by SIP.
    FileHistory {
        /// The history.
        history: bellhop_connect::ports::History,
    }
    /// Spend the key.
    CommitHandoff {}
    /// Tell the flow to disconnect.
    MarkHangup {}

    /// To Reception: the call is over, take its teardown plan.
    CallEnded {
        /// The call.
        id: CallId,
        /// Why it ended, as the record tells it.
        ending: Ending,
        /// Headers of the BYE: names and values.
        headers: Vec<(String, String)>,
    }

    /// The leg's slice panicked.
    LegFailed {}
    /// Nothing was heard of the far end for too long.
    LegSilent {}
    /// A digit was pressed.
    LegDigit {
        /// The press.
        press: Press,
    }
}

/// The key of a transfer that did not come about opens nothing any more.
#[derive(Message)]
#[rtype(result = "()")]
pub struct VoidKey(pub CallId, pub Void);
