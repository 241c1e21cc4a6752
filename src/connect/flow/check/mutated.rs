//! Flows that somebody broke in every way: readers, writers and the check get through all of them.
//!
//! Invariant: what is done to a flow comes of a seed, which a failure names.

use serde_json::Value;

use super::super::handing_over::tests::{VENDOR_SAMPLE_SHAPE, parts};
use super::super::{Flow, Format, difference, of_value, read};
use super::{FINDINGS_MAX, Known, validate};

/// How many flows are broken.
const SEEDS: u64 = 1_000;

/// Numbers that are the same for the same seed (xorshift64*).
struct Numbers(u64);

impl Numbers {
    fn of(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % most.max(1)
    }
}

/// Texts that mean something to a flow, or nothing to anybody.
const TEXTS: [&str; 16] = [
    "",
    "log",
    "transfer",
    "hangup",
    "nowhere",
    "$",
    "$.",
    "$.Attributes.",
    "$.Attributes.SessionHistoryKey",
    "$['",
    "arn:",
    "arn:aws:connect:::",
    "arn:aws:chime:us-east-1:111122223333:vc/é",
    "\u{0}\u{202e}",
    "True",
    "Transfer",
];

/// All places of a value, by their pointers.
fn places(value: &Value, at: &str, all: &mut Vec<String>) {
    all.push(at.to_owned());
    match value {
        Value::Array(list) => list.iter().enumerate().for_each(|(n, value)| places(value, &format!("{at}/{n}"), all)),
        Value::Object(object) => object.iter().for_each(|(name, value)| {
            places(value, &format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), all);
        }),
        _ => {}
    }
}

/// Breaks one place: another value, a value of another place, nothing, or one more.
fn break_one(flow: &mut Value, numbers: &mut Numbers) {
    let mut all = vec![];
    places(flow, "", &mut all);
    let at = all[numbers.below(all.len())].clone();
    let other = flow.pointer(&all[numbers.below(all.len())]).cloned().unwrap_or_default();
    let Some(place) = flow.pointer_mut(&at) else { return };
    match numbers.below(7) {
        0 => *place = Value::Null,
        1 => *place = Value::from(numbers.below(1 << 20)),
        2 => *place = Value::from(TEXTS[numbers.below(TEXTS.len())]),
        3 => *place = other,
        4 => *place = Value::from(numbers.below(2) == 0),
        5 => match place {
            Value::Array(list) => list.push(other),
            Value::Object(object) => _ = object.insert(TEXTS[numbers.below(TEXTS.len())].to_owned(), other),
            _ => *place = Value::Array(vec![]),
        },
        _ => match place {
            Value::Array(list) if !list.is_empty() => _ = list.remove(numbers.below(list.len())),
            Value::Object(object) => {
                let name = object.keys().nth(numbers.below(object.len())).cloned().unwrap_or_default();
                object.remove(&name);
            }
            _ => *place = Value::Object(serde_json::Map::new()),
        },
    }
}

#[test]
fn a_broken_flow_is_read_or_refused_and_what_is_read_is_checked_and_written() {
    let ours = Flow::handing_over(&parts());
    let mut bases: Vec<Value> = Format::ALL.iter().map(|format| ours.written(*format).expect("written")).collect();
    bases.push(serde_json::from_str(VENDOR_SAMPLE_SHAPE).expect("JSON"));
    let known =
        Known { instance: "arn:aws:connect:us-east-1:111122223333:instance/INSTANCE".parse().ok(), ..Known::default() };
    let (mut read_ones, mut refused) = (0, 0);
    for seed in 0..SEEDS {
        let mut numbers = Numbers::of(seed);
        let mut file = bases[numbers.below(bases.len())].clone();
        for _ in 0..=numbers.below(6) {
            break_one(&mut file, &mut numbers);
        }
        let Ok(flow) = of_value(&file).map_err(|unreadable| assert!(!unreadable.to_string().contains('\n'))) else {
            refused += 1;
            continue;
        };
        read_ones += 1;
        for finding in validate(&flow, &known) {
            assert!(!finding.to_string().contains(['\n', '\u{0}']), "seed {seed}: {finding:?}");
        }
        assert!(validate(&flow, &Known::default()).len() <= FINDINGS_MAX, "seed {seed}");
        let own = if file.get("modules").is_some() { Format::Legacy } else { Format::Language };
        assert_eq!(flow.written(own), Ok(file), "seed {seed}: it is written as it was read");
        for format in Format::ALL {
            let Ok(written) = flow.written(format) else { continue };
            // What goes deeper in the other format may go too deep there.
            let Ok(again) = of_value(&written) else {
                assert_ne!(format, own, "seed {seed}");
                continue;
            };
            let same = difference(&flow, &again);
            assert!(format != own || same.is_none(), "seed {seed}: {same:?}");
        }
    }
    assert!(read_ones > 100 && refused > 100, "of both there are many: {read_ones}, {refused}");
}

#[test]
fn a_text_that_was_cut_or_mixed_up_is_refused_and_nothing_more() {
    let text = Flow::handing_over(&parts()).written(Format::Language).expect("written").to_string();
    for seed in 0..SEEDS {
        let mut numbers = Numbers::of(seed);
        let mut bytes = text.clone().into_bytes();
        for _ in 0..=numbers.below(4) {
            let at = numbers.below(bytes.len());
            match numbers.below(3) {
                0 => bytes.truncate(at),
                1 => bytes[at] = numbers.below(256) as u8,
                _ => bytes.insert(at, b"{}[]\",:0\\"[numbers.below(9)]),
            }
            if bytes.is_empty() {
                break;
            }
        }
        if let Ok(flow) = read(&String::from_utf8_lossy(&bytes)) {
            validate(&flow, &Known::default());
        }
    }
}
