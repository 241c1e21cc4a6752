//! Speech as G.711 lines play it: code words that a cache holds and every call shares, in place of samples that each would code.

use std::borrow::Cow;
use std::sync::Arc;

use bellhop_dialogue::ports::{Companding, Samples};
use bellhop_media::codec::Codec;
use bellhop_media::g711::Law;
use bellhop_media::playout::Sound;

/// How a codec codes its samples, if it does so by G.711.
pub fn companding(codec: Codec) -> Option<Companding> {
    match codec {
        Codec::G711(Law::Mu) => Some(Companding::MuLaw),
        Codec::G711(Law::A) => Some(Companding::ALaw),
        Codec::G722 | Codec::Opus => None,
    }
}

fn law(companding: Companding) -> Law {
    match companding {
        Companding::MuLaw => Law::Mu,
        Companding::ALaw => Law::A,
    }
}

/// Samples as code words.
pub fn coded(samples: &[i16], companding: Companding) -> Samples {
    Samples::G711(companding, law(companding).encode_all(samples).into())
}

/// Samples as they are, or what their code words say.
pub fn linear(samples: &Samples) -> Cow<'_, [i16]> {
    linear_from(samples, 0)
}

/// Those from one on; none if there are not that many.
pub fn linear_from(samples: &Samples, first: usize) -> Cow<'_, [i16]> {
    match samples {
        Samples::Linear(samples) => Cow::Borrowed(samples.get(first..).unwrap_or_default()),
        Samples::G711(companding, codes) => {
            let codes = codes.get(first..).unwrap_or_default();
            codes.iter().map(|code| law(*companding).decode(*code)).collect()
        }
    }
}

/// Code words as a codec plays them: those of its own law are shared.
pub fn sound(companding: Companding, codes: &Arc<[u8]>, codec: Codec) -> Sound {
    let law = law(companding);
    let sound = Sound::Coded(law, Arc::clone(codes));
    if codec == Codec::G711(law) { sound } else { sound.converted(Codec::G711(law), codec) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_words_are_shared_by_lines_of_their_law_and_say_the_same_to_others() {
        let samples: Vec<i16> = (0..160).map(|n| n * 200 - 16_000).collect();
        for (law, other) in [(Law::Mu, Law::A), (Law::A, Law::Mu)] {
            let companding = companding(Codec::G711(law)).expect("it is one of G.711");
            let coded = coded(&samples, companding);
            let Samples::G711(_, codes) = &coded else { panic!("code words") };
            let Sound::Coded(_, shared) = sound(companding, codes, Codec::G711(law)) else { panic!("code words") };
            assert!(Arc::ptr_eq(&shared, codes));
            let said = linear(&coded);
            let Sound::Coded(_, theirs) = sound(companding, codes, Codec::G711(other)) else { panic!("code words") };
            assert_eq!(theirs[..], other.encode_all(&said));
            assert_eq!(sound(companding, codes, Codec::G722).samples(), 320);
            let apart = said.iter().zip(&samples).map(|(one, other)| one.abs_diff(*other)).max();
            assert!(apart <= Some(512), "half a step of the loudest: {apart:?}");
        }
        assert_eq!(companding(Codec::Opus), None);
    }
}
