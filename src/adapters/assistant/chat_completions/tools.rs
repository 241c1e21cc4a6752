//! The tools of a language model on the telephone: what they are called, and what they are as responses.

use bellhop_dialogue::response::digit_named;
use serde_json::{Value, json};

/// Their names.
pub(super) const NAMES: [&str; 3] = ["connect_to_agent", "end_session", "collect_digits"];

/// As the API wants them.
pub(super) fn schema() -> Value {
    let tool = |name: &str, description: &str, properties: Value| {
        let parameters = json!({"type": "object", "properties": properties});
        json!({"type": "function", "function": {"name": name, "description": description, "parameters": parameters}})
    };
    json!([
        tool(
            NAMES[0],
            "Transfers the caller to a person. Say so first.",
            json!({
                "message_to_human_agent": {"type": "string", "description": "What the agent should know."},
                "custom_data": {"type": "object", "additionalProperties": {"type": "string"},
                    "description": "Names and values that are shown to the agent. A name consists of the letters A to Z and a \
                        to z, digits, - and _ alone, like order_number; a value is a text."},
            })
        ),
        tool(NAMES[1], "Ends the call. Say good bye first.", json!({})),
        tool(
            NAMES[2],
            "Asks for digits on the keypad. Ask for them in words first.",
            json!({
                "count": {"type": "integer", "description": "So many digits end it."},
                "termination_key": {"type": "string", "description": "This key ends it, like #."},
                "secret": {"type": "boolean", "description": "Whether the digits are not for anybody to read."},
            })
        ),
    ])
}

/// A tool as a response; none if there is no such tool. Arguments are an object, or the text of one.
pub(super) fn carried_out(name: &str, arguments: &Value) -> Option<Value> {
    let given = |name: &str| arguments.get(name).filter(|value| !value.is_null()).cloned();
    match name {
        "connect_to_agent" => {
            let mut item = json!({"response_type": "connect_to_agent"});
            let note = ["message_to_human_agent", "message", "reason", "summary"].into_iter().find_map(given);
            if let Some(note) = note.filter(Value::is_string) {
                item["message_to_human_agent"] = note;
            }
            let data = given("custom_data").filter(Value::is_object).unwrap_or_else(|| json!({}));
            item["transfer_info"] = json!({"target": {"amazon_connect": {"custom_data": data}}});
            Some(item)
        }
        "end_session" => Some(json!({"response_type": "end_session"})),
        "collect_digits" => {
            let mut parameters = json!({"mask": given("secret").unwrap_or(json!(false))});
            // What is no number of digits, or no key, is as if it were not there: then the usual key ends them.
            let digits = |count: &Value| count.as_u64().or_else(|| count.as_str()?.trim().parse().ok());
            let count = given("count").filter(|count| digits(count).is_some_and(|digits| (1..=100).contains(&digits)));
            let key = given("termination_key").filter(|key| key.as_str().and_then(digit_named).is_some());
            if let Some(key) = key.or_else(|| count.is_none().then(|| json!("#"))) {
                parameters["termination_key"] = key;
            }
            if let Some(count) = count {
                parameters["count"] = count;
            }
            Some(json!({"response_type": "dtmf", "command_info": {"type": "collect", "parameters": parameters}}))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_that_were_asked_for_are_collected_whatever_the_model_wrote() {
        for (arguments, count, key) in [
            (json!({"count": 4}), json!(4), Value::Null),
            (json!({"count": "4", "termination_key": ""}), json!("4"), Value::Null),
            (json!({"count": 0}), Value::Null, json!("#")),
            (json!({"count": "many", "termination_key": "enter"}), Value::Null, json!("#")),
            (json!({"count": [4], "termination_key": "star"}), Value::Null, json!("star")),
            (json!({"count": null, "termination_key": null}), Value::Null, json!("#")),
            (json!({"count": 1e300, "termination_key": 7}), Value::Null, json!("#")),
        ] {
            let item = carried_out("collect_digits", &arguments).expect("a tool");
            let parameters = &item["command_info"]["parameters"];
            assert_eq!((&parameters["count"], &parameters["termination_key"]), (&count, &key), "{arguments}");
            let (read, refused) = bellhop_dialogue::response::read(std::slice::from_ref(&item));
            let collects = matches!(read.as_slice(), [bellhop_dialogue::response::Response::Dtmf(_)]);
            assert!(collects && refused.is_empty(), "{arguments}");
        }
    }
}
