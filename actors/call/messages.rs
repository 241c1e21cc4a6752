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

// To SipDialog
/// Send 180.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Ring;

/// Send the 200.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Answer;

/// Put the codecs of a band first, as long as the offer is not answered.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct PreferBand {
    /// 16 kHz before 8 kHz.
    pub broad: bool,
}

/// Make sure that a BYE would reach the far end.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct FindWayBack;

/// Put the far end on hold.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Hold;

/// End the hold.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct EndHold;

/// Send digits by INFO.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct SendDigitsByInfo {
    /// The digits, with their lengths and pauses in milliseconds.
    pub digits: DtmfSend,
}

// To JitterBuffer
/// Other audio will be agreed on; the leg still rests.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct MediaPlanned {
    /// Codec, payload types and far end, as offer and answer agreed on them.
    pub agreed: bellhop_sip::sdp::Agreed,
}

/// The far end named a new address for its audio.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct MediaMoved {
    /// What was agreed on.
    pub agreed: bellhop_sip::sdp::Agreed,
}

// JitterBuffer, SipDialog -> TurnLoop
/// A digit was pressed; perhaps it comes by the other way too.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct DigitPressed {
    /// Which, and for how long.
    pub press: Press,
    /// How it came.
    pub way: Way,
}

// To ConnectHandoff
/// Store the history and have a key ready.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct PrepareHandoff {
    /// What the assistant asked for: the target, or the text for the agent.
    pub transfer: Box<ConnectToAgent>,
    /// The history.
    pub history: bellhop_connect::ports::History,
}

/// Store the history for a transfer by SIP.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct FileHistory {
    /// The history.
    pub history: bellhop_connect::ports::History,
}

/// Spend the key.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct CommitHandoff;

/// Tell the flow to disconnect.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct MarkHangup;

/// To Reception: the call is over, take its teardown plan.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct CallEnded {
    /// The call.
    pub id: CallId,
    /// Why it ended, as the record tells it.
    pub ending: Ending,
    /// Headers of the BYE: names and values.
    pub headers: Vec<(String, String)>,
}

/// The leg's slice panicked.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct LegFailed;

/// Nothing was heard of the far end for too long.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct LegSilent;

/// A digit was pressed.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct LegDigit {
    /// The press.
    pub press: Press,
}

/// The key of a transfer that did not come about opens nothing any more.
#[derive(Message)]
#[rtype(result = "()")]
pub struct VoidKey(pub CallId, pub Void);
