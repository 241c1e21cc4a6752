//! The tools of a language model on the telephone: what they are called, and what they are as responses.

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
            if let Some(count) = given("count") {
                parameters["count"] = count;
            }
            if given("termination_key").is_some() || given("count").is_none() {
                parameters["termination_key"] = given("termination_key").unwrap_or(json!("#"));
            }
            Some(json!({"response_type": "dtmf", "command_info": {"type": "collect", "parameters": parameters}}))
        }
        _ => None,
    }
}
