//! `dtmf`: gather digits (`collect`), press them (`send`), and whether they interrupt.

use std::time::Duration;

use serde_json::{Value, json};

use super::fields::{OutOfRange, command, flag, text, within};
use super::{Means, Response, text_to_speech};

/// What a collection waits for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DtmfCollect {
    /// So many digits end it (1 to 100).
    pub count: Option<usize>,
    /// Fewer digits are no success.
    pub minimum: Option<usize>,
    /// So many digits end it (at most 100).
    pub maximum: Option<usize>,
    /// This digit ends it and is not part of the text.
    pub termination_key: Option<char>,
    /// Silence after a digit that ends it; in its place the post-response timer rests.
    pub(crate) inter_digit: Option<Duration>,
    /// Whether speech is not taken from the first digit on.
    pub(crate) ignores_speech: bool,
    /// Whether digits are ignored afterwards until they are asked for.
    pub(crate) stops_after: bool,
    /// Whether the digits are nobody's to read: not in the transcript, not in a record.
    pub masked: bool,
}

/// Digits to send towards the caller.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DtmfSend {
    /// In the order of sending.
    pub digits: Vec<DigitPress>,
    /// Milliseconds of silence between two digits.
    pub interval_ms: u32,
}

/// One digit of a `dtmf` response that sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DigitPress {
    /// `0`–`9`, `*`, `#`, `A`–`D`.
    pub digit: char,
    /// How long it is held, in milliseconds.
    pub duration_ms: u32,
    /// Its level in −dBm0, 0 to 63.
    pub volume: u8,
}

/// A collection needs an end, a sending needs digits; other commands are not served.
pub(super) fn read(item: &Value, refused: &mut Vec<OutOfRange>) -> Option<Response> {
    match command(item)? {
        ("collect", parameters) => collect(parameters, refused),
        ("send", parameters) => send(parameters, refused),
        (name, _) => text_to_speech::barge_in(name, Means::Digits),
    }
}

pub(super) fn send(parameters: &Value, refused: &mut Vec<OutOfRange>) -> Option<Response> {
    let mut digit = |item: &Value| {
        let code = within(item, "code", 0..=15, refused)? as usize;
        // A level may be written as the negative number it is.
        let level = item.get("volume").and_then(Value::as_f64).filter(|level| *level < 0.0);
        let volume = match level {
            Some(level) => within(&json!({"volume": -level}), "volume", 0..=63, refused),
            None => within(item, "volume", 0..=63, refused),
        };
        Some(DigitPress {
            digit: "0123456789*#ABCD".chars().nth(code)?,
            duration_ms: within(item, "duration", 40..=5000, refused).unwrap_or(200) as u32,
            volume: volume.unwrap_or(0) as u8,
        })
    };
    let digits = parameters.get("digits")?.as_array()?;
    let digits: Vec<DigitPress> = digits.iter().filter_map(&mut digit).take(SENT_DIGITS_MAX).collect();
    let interval_ms = within(parameters, "send_interval", 20..=5000, refused).unwrap_or(200) as u32;
    (!digits.is_empty()).then_some(Response::SendDigits(DtmfSend { digits, interval_ms }))
}

/// Most digits of one `send`.
const SENT_DIGITS_MAX: usize = 32;

pub(super) fn collect(parameters: &Value, refused: &mut Vec<OutOfRange>) -> Option<Response> {
    let mut digits = |name| within(parameters, name, 1..=DIGITS_MAX, refused).map(|n| n as usize);
    let termination_key = text(parameters.get("termination_key")).and_then(|key| digit_named(&key));
    let (count, maximum, minimum) = (digits("count"), digits("maximum_count"), digits("minimum_count"));
    // What contradicts the lower end of a collection can never be had: it is as if it were not there.
    let most = [count, maximum].into_iter().flatten().min();
    let minimum = minimum.filter(|minimum| most.is_none_or(|most| *minimum <= most));
    let count = count.filter(|count| most.is_none_or(|most| *count <= most));
    let inter_digit = within(parameters, "inter_digit_timeout_count", 1..=100_000, refused);
    let ignores_speech = flag(parameters.get("ignore_speech")).unwrap_or(false);
    let ends = count.is_some() || maximum.is_some() || termination_key.is_some();
    ends.then_some(Response::Dtmf(DtmfCollect {
        count,
        minimum,
        maximum,
        termination_key,
        inter_digit: inter_digit.map(Duration::from_millis),
        ignores_speech,
        stops_after: flag(parameters.get("stop_after_collection")).unwrap_or(false),
        masked: flag(parameters.get("mask")).unwrap_or(ignores_speech),
    }))
}

/// A digit by its sign, or by what people call it; what no telephone has is none.
pub fn digit_named(name: &str) -> Option<char> {
    match name.trim().to_ascii_lowercase().as_str() {
        "pound" | "hash" => Some('#'),
        "star" | "asterisk" => Some('*'),
        name => name.chars().next().map(|c| c.to_ascii_uppercase()).filter(|key| "0123456789*#ABCD".contains(*key)),
    }
}

/// Most digits of one collection.
const DIGITS_MAX: u64 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(item: &Value) -> Option<Response> {
        super::read(item, &mut vec![])
    }

    #[test]
    fn a_collection_is_read_as_published() {
        let item = json!({"response_type": "dtmf", "command_info": {"type": "collect",
            "parameters": {"termination_key": "#", "count": "16", "ignore_speech": "true"}}});
        let expected = DtmfCollect {
            count: Some(16),
            termination_key: Some('#'),
            ignores_speech: true,
            masked: true,
            ..DtmfCollect::default()
        };
        assert_eq!(read(&item), Some(Response::Dtmf(expected)));
    }

    #[test]
    fn every_parameter_of_a_collection_is_read() {
        let item = json!({"command_info": {"type": "collect", "parameters": {"minimum_count": 2, "maximum_count": "100",
            "inter_digit_timeout_count": "1500", "ignore_speech": false, "stop_after_collection": "true"}}});
        let expected = DtmfCollect {
            minimum: Some(2),
            maximum: Some(100),
            inter_digit: Some(Duration::from_millis(1500)),
            stops_after: true,
            ..DtmfCollect::default()
        };
        assert_eq!(read(&item), Some(Response::Dtmf(expected)));
    }

    #[test]
    fn limits_out_of_range_are_absent() {
        for (name, bad) in [
            ("inter_digit_timeout_count", json!(0)),
            ("inter_digit_timeout_count", json!(-5)),
            ("minimum_count", json!(101)),
            ("maximum_count", json!("1e9")),
            ("maximum_count", json!("many")),
        ] {
            let mut refused = vec![];
            let mut parameters = json!({"count": 4});
            parameters[name] = bad;
            let wanted = DtmfCollect { count: Some(4), ..DtmfCollect::default() };
            assert_eq!(collect(&parameters, &mut refused), Some(Response::Dtmf(wanted)), "{parameters}");
            assert_eq!(refused.first().map(|refused| refused.name), Some(name));
        }
    }

    #[test]
    fn keys_to_send_are_read_with_their_defaults() {
        let item = json!({"command_info": {"type": "send", "parameters": {
            "digits": [{"code": "11", "duration": 300, "volume": -8}, {"code": 5}], "send_interval": "100"}}});
        let digits = vec![
            DigitPress { digit: '#', duration_ms: 300, volume: 8 },
            DigitPress { digit: '5', duration_ms: 200, volume: 0 },
        ];
        assert_eq!(read(&item), Some(Response::SendDigits(DtmfSend { digits, interval_ms: 100 })));
    }

    #[test]
    fn what_can_never_be_had_is_not_waited_for() {
        let read = |parameters: Value| match collect(&parameters, &mut vec![]) {
            Some(Response::Dtmf(wanted)) => {
                Some((wanted.count, wanted.minimum, wanted.maximum, wanted.termination_key))
            }
            _ => None,
        };
        assert_eq!(read(json!({"count": 4, "minimum_count": 6})), Some((Some(4), None, None, None)));
        assert_eq!(read(json!({"count": 4, "maximum_count": 2})), Some((None, None, Some(2), None)));
        assert_eq!(read(json!({"termination_key": "pound"})), Some((None, None, None, Some('#'))));
        assert_eq!(read(json!({"termination_key": "STAR"})), Some((None, None, None, Some('*'))));
        for no_key in [json!("enter"), json!("é"), json!(" "), json!([])] {
            assert_eq!(read(json!({"termination_key": no_key})), None);
        }
    }

    #[test]
    fn what_has_no_end_is_no_collection() {
        assert_eq!(read(&json!({"command_info": {"type": "collect", "parameters": {}}})), None);
        assert_eq!(read(&json!({"command_info": {"type": "send"}})), None);
        assert_eq!(read(&json!({"command_info": {"type": "send", "parameters": {"digits": [{"code": "99"}]}}})), None);
    }
}
