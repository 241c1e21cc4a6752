//! A moment of fuzzing for every parser of bytes from the network: seeded mutations of the corpus. `make fuzz` does it for
//! long, with libFuzzer; `FUZZ_ROUNDS` and `FUZZ_SEED` do it here for as long as is wanted, from another beginning.

use std::path::Path;

use bellhop_tests::fuzz::TARGETS;

const ROUNDS: usize = 3000;

struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n.max(1)
    }
}

fn mutated(corpus: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = corpus[random.below(corpus.len())].clone();
    for _ in 0..=random.below(6) {
        let at = random.below(bytes.len() + 1).min(bytes.len());
        match random.below(6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 => bytes.insert(at, random.below(256) as u8),
            2 => bytes.truncate(at),
            3 => {
                let other = &corpus[random.below(corpus.len())];
                let from = random.below(other.len() + 1).min(other.len());
                bytes.splice(at.., other[from..].iter().copied());
            }
            4 if at < bytes.len() => drop(bytes.remove(at)),
            _ => {
                let length = random.below(40).min(bytes.len() - at);
                let again = bytes[at..at + length].to_vec();
                bytes.splice(at..at, again);
            }
        }
    }
    bytes
}

fn wanted(name: &str, usual: usize) -> usize {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(usual)
}

#[test]
fn no_bytes_from_the_network_panic_a_parser() {
    let (rounds, first) = (wanted("FUZZ_ROUNDS", ROUNDS), wanted("FUZZ_SEED", 1));
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for (seed, (name, target)) in TARGETS.into_iter().enumerate() {
        let files = std::fs::read_dir(root.join(name)).expect("a corpus");
        let mut paths: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
        paths.sort();
        let corpus: Vec<Vec<u8>> = paths.iter().map(|path| std::fs::read(path).expect("readable")).collect();
        assert!(!corpus.is_empty(), "{name} has seeds");
        corpus.iter().for_each(|bytes| target(bytes));
        let mut random = Random((seed + first) as u64);
        for round in 0..rounds {
            let bytes = mutated(&corpus, &mut random);
            let outcome = std::panic::catch_unwind(|| target(&bytes));
            assert!(outcome.is_ok(), "{name}, round {round}: {:?}", String::from_utf8_lossy(&bytes));
        }
    }
}
