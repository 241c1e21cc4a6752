//! What waits to be heard.

use std::collections::VecDeque;
use std::time::Duration;

use bellhop_dialogue::response::{self, DtmfSend};
use bellhop_media::codec::Codec;
use bellhop_media::dtmf::Digit;
use bellhop_media::playout::{DigitPress, Sound};

use super::Work;
use super::text::Text;

/// A text, a sound or a row of digits on its way to the line.
#[derive(Debug)]
pub(super) enum Item {
    /// A text that is being made audio.
    Text(Text),
    /// A sound that will be fetched.
    Source { source: String, repeats: bool },
    /// A sound that is being fetched, or coded for another codec.
    Fetching { repeats: bool, work: Work },
    /// Audio, coded for this codec.
    Sound { sound: Sound, codec: Codec, repeats: bool },
    /// A sound that is not to be had, or no digits.
    Nothing,
    /// Digits that are not pressed yet.
    Digits(VecDeque<DigitPress>),
}

impl Item {
    /// The digits of an order.
    pub(super) fn digits(digits: &DtmfSend) -> Self {
        let press = |press: &response::DigitPress| {
            let digit = Digit::from_char(press.digit)?;
            let (hold_ms, pause_ms) = (press.duration_ms, digits.interval_ms);
            Some(DigitPress { digit, hold_ms, pause_ms, volume: press.volume })
        };
        let presses: VecDeque<DigitPress> = digits.digits.iter().filter_map(press).collect();
        if presses.is_empty() { Self::Nothing } else { Self::Digits(presses) }
    }

    /// How much audio of it is whole and ready; none of a text that is still being made.
    pub(super) fn audio(&self) -> Duration {
        match self {
            Self::Sound { sound, codec, .. } => {
                Duration::from_millis(sound.samples() as u64 * 1000 / u64::from(codec.sample_rate()))
            }
            Self::Text(_) | Self::Source { .. } | Self::Fetching { .. } | Self::Nothing | Self::Digits(_) => {
                Duration::ZERO
            }
        }
    }

    /// What is being done for it.
    pub(super) fn work(&self) -> Option<Work> {
        match self {
            Self::Text(text) => text.work(),
            Self::Fetching { work, .. } => Some(*work),
            Self::Source { .. } | Self::Sound { .. } | Self::Nothing | Self::Digits(_) => None,
        }
    }

    /// Whether it is heard again and again.
    pub(super) fn repeats(&self) -> bool {
        match self {
            Self::Source { repeats, .. } | Self::Fetching { repeats, .. } | Self::Sound { repeats, .. } => *repeats,
            Self::Text(_) | Self::Nothing | Self::Digits(_) => false,
        }
    }
}
