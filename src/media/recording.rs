//! The recording of a call: both directions side by side, in chunks for whoever writes them.
//!
//! Invariant: left is the caller and right is us, both at the line's rate and in step; while paused both are silent, so that
//! the recording stays as long as the call. At most one chunk is held. Driver: `actors/media_shard/`.

/// How much is gathered before it is handed on.
pub const CHUNK_MS: usize = 1000;

/// One call's recorder.
#[derive(Debug)]
pub struct Recorder {
    chunk: Vec<i16>,
    chunk_samples: usize,
    paused: bool,
}

impl Recorder {
    /// A recorder for a line of so many samples per second.
    pub fn new(sample_rate: u32) -> Self {
        let chunk_samples = sample_rate as usize * CHUNK_MS / 1000 * 2;
        Self { chunk: Vec::with_capacity(chunk_samples), chunk_samples, paused: false }
    }

    /// Whether nobody is to be heard from here on.
    pub fn pause(&mut self, paused: bool) {
        self.paused = paused;
    }

    /// Takes one frame of each direction; what one has too few is silence. Returns a chunk when one is full: left, right,
    /// left, right.
    pub fn push(&mut self, caller: &[i16], ours: &[i16]) -> Option<Vec<i16>> {
        for n in 0..caller.len().max(ours.len()) {
            let sample = |from: &[i16]| if self.paused { 0 } else { from.get(n).copied().unwrap_or(0) };
            let (left, right) = (sample(caller), sample(ours));
            self.chunk.extend([left, right]);
        }
        let full = self.chunk.len() >= self.chunk_samples;
        full.then(|| std::mem::replace(&mut self.chunk, Vec::with_capacity(self.chunk_samples)))
    }

    /// What is left at the end.
    pub fn finish(&mut self) -> Vec<i16> {
        std::mem::take(&mut self.chunk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_directions_stay_in_step_through_a_pause() {
        let mut recorder = Recorder::new(8000);
        let mut all = vec![];
        for n in 0..60 {
            recorder.pause((20..40).contains(&n));
            let ours = if n == 5 { vec![] } else { vec![2; 160] };
            all.extend(recorder.push(&[1; 160], &ours).unwrap_or_default());
        }
        assert_eq!(all.len(), 16_000, "one chunk is a second");
        all.extend(recorder.finish());
        let at = |frame: usize| (all[frame * 320], all[frame * 320 + 1]);
        assert_eq!((at(0), at(5), at(25), at(45)), ((1, 2), (1, 0), (0, 0), (1, 2)));
        assert_eq!(all.len(), 60 * 320);
    }
}
