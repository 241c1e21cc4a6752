//! What the service says it heard.

use std::time::{SystemTime, UNIX_EPOCH};

use bellhop_dialogue::ports::RecognizerEvent;
use serde_json::{Value, json};

/// The ids of a connection, for the assistant and for the call record.
#[derive(Debug, Clone, Default)]
pub(super) struct Transaction {
    global: Option<String>,
    watson: Option<String>,
}

impl Transaction {
    /// From the headers of the upgrade's answer.
    pub(super) fn of(header: impl Fn(&str) -> Option<String>) -> Self {
        Self { global: header("x-global-transaction-id"), watson: header("x-dp-watson-tran-id") }
    }
}

/// Interim and final results of one message, in order.
pub(super) fn read_results(message: &Value, transaction: &Transaction) -> Vec<RecognizerEvent> {
    // Some versions put the event that speech began at the top.
    let speaks = || RecognizerEvent::InterimResult { text: String::new(), stable: false };
    let begins = message.get("speech_begin_event").map(|_| speaks());
    let results = message.get("results").and_then(Value::as_array);
    let read = |result: &Value| {
        if result.get("speech_begin_event").is_some() {
            return Some(speaks());
        }
        let best = result.get("alternatives")?.get(0)?;
        let text = best.get("transcript")?.as_str()?.to_owned();
        let is = |mark: &str| result.get(mark).and_then(Value::as_bool) == Some(true);
        if !is("final") {
            // A mark of workers'; Watson has none.
            return Some(RecognizerEvent::InterimResult { text, stable: is("stable") });
        }
        if text.trim().is_empty() {
            return Some(RecognizerEvent::NotUnderstood);
        }
        let confidence = best.get("confidence").and_then(Value::as_f64).unwrap_or(1.0) as f32;
        let only = json!({"result_index": message.get("result_index"), "results": [result]});
        Some(RecognizerEvent::FinalResult { text, confidence, result: Some(with_times(only, transaction)) })
    };
    begins.into_iter().chain(results.into_iter().flatten().filter_map(read)).collect()
}

/// The vendor's additions: when it was heard, and under which ids.
fn with_times(mut result: Value, transaction: &Transaction) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as i64;
    // The times of words, where they were asked for, tell how long it lasted.
    let spoken = result.pointer("/results/0/alternatives/0/timestamps").and_then(Value::as_array).and_then(|words| {
        let (first, last) = (words.first()?.get(1)?.as_f64()?, words.last()?.get(2)?.as_f64()?);
        Some(((last - first) * 1000.0) as i64)
    });
    result["stopTimestamp"] = json!(timestamp(now));
    result["startTimestamp"] = json!(timestamp(now - spoken.unwrap_or(0)));
    if let Some(global) = &transaction.global {
        result["transactionID"] = json!(global);
    }
    result["transaction_ids"] = json!({
        "x-global-transaction-id": transaction.global, "x-dp-watson-tran-id": transaction.watson,
    });
    result
}

/// `yyyy-MM-ddTHH:mm:ss.SSSZ`
fn timestamp(unix_ms: i64) -> String {
    let at = jiff::Timestamp::from_millisecond(unix_ms).unwrap_or_default();
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interim_and_final_results_are_told_apart() {
        let transaction = Transaction { global: Some("43dd".into()), watson: None };
        let interim =
            json!({"result_index": 0, "results": [{"final": false, "alternatives": [{"transcript": "one "}]}]});
        let read = |message: &Value| read_results(message, &transaction);
        assert_eq!(read(&interim), [RecognizerEvent::InterimResult { text: "one ".into(), stable: false }]);
        let stays = json!({"results": [{"final": false, "stable": true, "alternatives": [{"transcript": "one "}]}]});
        assert_eq!(read(&stays), [RecognizerEvent::InterimResult { text: "one ".into(), stable: true }]);
        let last = json!({"result_index": 3, "results": [{"final": true, "alternatives": [
            {"transcript": "one two ", "confidence": 0.78, "timestamps": [["one", 1.0, 1.5], ["two", 1.5, 2.25]]}]}]});
        let heard = read_results(&last, &transaction);
        let [RecognizerEvent::FinalResult { text, confidence, result: Some(result) }] = heard.as_slice() else {
            panic!("{heard:?}")
        };
        assert_eq!((text.as_str(), *confidence), ("one two ", 0.78));
        assert_eq!((&result["transactionID"], &result["result_index"]), (&json!("43dd"), &json!(3)));
        assert!(result["startTimestamp"].as_str() < result["stopTimestamp"].as_str());
    }

    #[test]
    fn that_speech_began_is_heard_in_both_forms_and_silence_is_nothing() {
        let transaction = Transaction::default();
        for begins in [
            json!({"speech_begin_event": {"begin": 2.5}}),
            json!({"results": [{"speech_begin_event": {"begin": 2.5}}]}),
        ] {
            assert_eq!(
                read_results(&begins, &transaction),
                [RecognizerEvent::InterimResult { text: String::new(), stable: false }]
            );
        }
        let empty = json!({"results": [{"final": true, "alternatives": [{"transcript": " "}]}]});
        assert_eq!(read_results(&empty, &transaction), [RecognizerEvent::NotUnderstood]);
        assert_eq!(read_results(&json!({"state": "listening"}), &transaction), []);
    }
}
