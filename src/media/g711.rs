//! G.711 µ-law and A-law by tables built at compile time (ITU-T G.711).
//!
//! Invariant: decoding then encoding any code word gives it back (negative zero of µ-law aside).

/// Which companding law.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Law {
    /// µ-law, North America and Japan.
    Mu,
    /// A-law, the rest of the world.
    A,
}

impl Law {
    /// The code word for silence.
    pub fn silence(self) -> u8 {
        self.encode(0)
    }

    /// One code word to a 16-bit sample.
    #[inline]
    pub fn decode(self, code: u8) -> i16 {
        match self {
            Self::Mu => MU_DECODE[code as usize],
            Self::A => A_DECODE[code as usize],
        }
    }

    /// One 16-bit sample to its code word. The tables hold the 14 and 13 bits that the laws distinguish.
    #[inline]
    pub fn encode(self, sample: i16) -> u8 {
        match self {
            Self::Mu => MU_ENCODE[(sample as u16 >> 2) as usize],
            Self::A => A_ENCODE[(sample as u16 >> 3) as usize],
        }
    }

    /// Decodes as many samples as fit.
    pub fn decode_into(self, codes: &[u8], samples: &mut [i16]) {
        let table = match self {
            Self::Mu => &MU_DECODE,
            Self::A => &A_DECODE,
        };
        for (sample, code) in samples.iter_mut().zip(codes) {
            *sample = table[*code as usize];
        }
    }

    /// Encodes a whole clip.
    pub fn encode_all(self, samples: &[i16]) -> Vec<u8> {
        samples.iter().map(|sample| self.encode(*sample)).collect()
    }
}

static MU_DECODE: [i16; 256] = mu_decode_table();
static A_DECODE: [i16; 256] = a_decode_table();
static MU_ENCODE: [u8; 1 << 14] = mu_encode_table();
static A_ENCODE: [u8; 1 << 13] = a_encode_table();

const fn mu_decode_table() -> [i16; 256] {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        let u = !(code as u8);
        let magnitude = ((((u & 0x0f) as i32) << 3) + 0x84) << ((u & 0x70) >> 4);
        table[code] = if u & 0x80 != 0 { (0x84 - magnitude) as i16 } else { (magnitude - 0x84) as i16 };
        code += 1;
    }
    table
}

const fn a_decode_table() -> [i16; 256] {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        let a = code as u8 ^ 0x55;
        let mantissa = ((a & 0x0f) as i32) << 4;
        let segment = (a & 0x70) >> 4;
        let magnitude = match segment {
            0 => mantissa + 8,
            1 => mantissa + 0x108,
            _ => (mantissa + 0x108) << (segment - 1),
        };
        table[code] = if a & 0x80 != 0 { magnitude as i16 } else { -magnitude as i16 };
        code += 1;
    }
    table
}

const fn mu_encode_table() -> [u8; 1 << 14] {
    let mut table = [0; 1 << 14];
    let mut index = 0;
    while index < 1 << 14 {
        let sample = ((index << 2) as u16 as i16) as i32;
        let (sign, mut magnitude) = if sample < 0 { (0x80, -sample) } else { (0, sample) };
        if magnitude > 32635 {
            magnitude = 32635;
        }
        magnitude += 0x84;
        let mut exponent = 7;
        let mut mask = 0x4000;
        while exponent > 0 && magnitude & mask == 0 {
            exponent -= 1;
            mask >>= 1;
        }
        let mantissa = (magnitude >> (exponent + 3)) & 0x0f;
        table[index] = !((sign | (exponent << 4) | mantissa) as u8);
        index += 1;
    }
    table
}

const fn a_encode_table() -> [u8; 1 << 13] {
    let mut table = [0; 1 << 13];
    let mut index = 0;
    while index < 1 << 13 {
        let sample = ((index << 3) as u16 as i16) as i32;
        let (sign, magnitude) = if sample >= 0 { (0x80, sample >> 3) } else { (0, (-sample - 1) >> 3) };
        let magnitude = if magnitude > 0xfff { 0xfff } else { magnitude };
        let mut segment = 0;
        let mut end = 0x1f;
        while segment < 7 && magnitude > end {
            segment += 1;
            end = (end << 1) | 1;
        }
        let mantissa = if segment < 2 { (magnitude >> 1) & 0x0f } else { (magnitude >> segment) & 0x0f };
        table[index] = ((sign | (segment << 4) | mantissa) as u8) ^ 0x55;
        index += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_word_survives_a_round_trip() {
        for code in 0..=255u8 {
            let mu = Law::Mu.encode(Law::Mu.decode(code));
            assert!(mu == code || (code == 0x7f && mu == 0xff), "µ {code:#x} -> {mu:#x}");
            assert_eq!(Law::A.encode(Law::A.decode(code)), code, "A {code:#x}");
        }
    }

    #[test]
    fn known_values_of_the_standard() {
        assert_eq!((Law::Mu.silence(), Law::A.silence()), (0xff, 0xd5));
        assert_eq!((Law::Mu.decode(0x00), Law::Mu.decode(0x80)), (-32124, 32124));
        assert_eq!((Law::A.decode(0x2a), Law::A.decode(0xaa)), (-32256, 32256));
        for law in [Law::Mu, Law::A] {
            for sample in (-32768..=32767).step_by(7) {
                let back = i32::from(law.decode(law.encode(sample as i16)));
                let error = (back - sample).abs();
                assert!(error <= 16 + sample.abs() / 15, "{law:?} {sample} -> {back}");
            }
        }
    }
}
