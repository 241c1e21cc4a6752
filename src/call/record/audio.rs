//! What was heard of a reply: each clip made, begun, ended or cut, and what the caller waited for the first of a turn.

use std::time::{Duration, Instant};

use bellhop_dialogue::ports::Origin;
use bellhop_dialogue::turn_loop::SayId;

use super::turns::{Response, Turn};
use super::{CallRecord, What};

impl CallRecord {
    fn clip(&mut self, id: SayId) -> Option<(&mut Turn, usize)> {
        let found = |response: &Response| response.clip.as_ref().is_some_and(|clip| clip.id == id.0);
        self.turns.iter_mut().rev().find_map(|turn| {
            let at = turn.responses.iter().position(found)?;
            Some((&mut **turn, at))
        })
    }

    /// The first audio of something is there; only the first time counts.
    pub fn audio_ready(&mut self, now: Instant, id: SayId) {
        let at = self.ms(now);
        let Some((turn, n)) = self.clip(id) else { return };
        let after_ms = at.saturating_sub(turn.responses[n].at_ms);
        let Some(clip) = turn.responses[n].clip.as_mut().filter(|clip| clip.ready_ms.is_none()) else { return };
        clip.ready_ms = Some(at);
        self.note(now, What::AudioReady { after_ms });
    }

    /// All audio of something is there, and who made it.
    pub fn made_by(&mut self, now: Instant, id: SayId, origin: &Origin) {
        self.audio_ready(now, id);
        let Some((turn, n)) = self.clip(id) else { return };
        if let Some(clip) = &mut turn.responses[n].clip {
            clip.origin = origin.clone();
        }
        self.served(now, "text_to_speech", origin);
    }

    /// The first sample of something goes out. Returns what the caller waited if it is the first of its turn.
    pub fn audio_began(&mut self, now: Instant, id: SayId) -> Option<Duration> {
        let at = self.ms(now);
        let (turn, n) = self.clip(id)?;
        if let Some(clip) = &mut turn.responses[n].clip {
            clip.began_ms = Some(at);
        }
        let first = turn.first_audio.is_none().then(|| {
            let since = turn.utterance.as_ref().and_then(|utterance| utterance.silent_ms).unwrap_or(turn.asked_ms);
            Duration::from_millis(at.saturating_sub(since))
        });
        turn.first_audio = turn.first_audio.or(first);
        let after_ms = first.map(|waited| waited.as_millis() as u64);
        self.note(now, What::AudioBegan { after_ms });
        first
    }

    /// The last sample went out.
    pub fn audio_ended(&mut self, now: Instant, id: SayId) {
        let at = self.ms(now);
        let Some((turn, n)) = self.clip(id) else { return };
        if let Some(clip) = &mut turn.responses[n].clip {
            clip.ended_ms = Some(at);
        }
        self.note(now, What::AudioEnded {});
    }

    /// The caller interrupts what is being heard; how much of it was heard is told later.
    pub fn interrupted(&mut self, now: Instant) {
        let clips = self.turns.back_mut().into_iter().flat_map(|turn| &mut turn.responses);
        let sounding = clips.filter_map(|response| response.clip.as_mut()).find(|clip| clip.ended_ms.is_none());
        if let Some(clip) = sounding {
            clip.cut = true;
            self.note(now, What::Interrupted {});
        }
    }

    /// The caller interrupted it after this share of it.
    pub fn audio_cut(&mut self, now: Instant, id: SayId, share: f32) {
        let at = self.ms(now);
        let Some((turn, n)) = self.clip(id) else { return };
        if let Some(clip) = &mut turn.responses[n].clip {
            (clip.ended_ms, clip.cut) = (Some(at), true);
        }
        self.note(now, What::AudioCut { share });
    }
}
