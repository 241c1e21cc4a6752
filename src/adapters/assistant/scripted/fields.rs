//! The fields of each response type, as `docs/response-types.md` and the vendor's reference name them: those that we do not
//! serve are known here too, so that they are no misspellings.

/// The fields known at a path (keys joined by dots, lists left out); none where anything may stand.
pub(super) type Shape = fn(&str) -> Option<&'static [&'static str]>;

const TABLE: [(&str, Shape, &str); 15] = [
    ("text", text, "`text`"),
    ("audio", audio, "`source`, a URL"),
    ("option", option, "`options`, each with `label` and `value.input`"),
    ("suggestion", suggestion, "`suggestions`, each with `label` and `value.input`"),
    ("search", search, "`primary_results`"),
    ("speech_to_text", configure, "`command_info` with `type: configure` and `parameters`"),
    ("text_to_speech", configure, "`command_info` with `type: configure` and `parameters`, or `disable_barge_in`"),
    (
        "dtmf",
        dtmf,
        "`command_info` with `type: collect` and how it ends (`count`, `termination_key`, …), or `send` and `digits`",
    ),
    ("start_activities", activities, "`activities`"),
    ("stop_activities", activities, "`activities`"),
    ("connect_to_agent", connect_to_agent, "nothing"),
    ("end_session", end_session, "nothing"),
    ("channel_transfer", anything, "nothing"),
    ("user_defined", user_defined, "`user_defined` with a `vgwAction` and its `command`"),
    ("pause", anything, "SSML: `<break time=\"1s\"/>` in a text; a `pause` is not served"),
];

/// The fields of a message, which `value.input` is.
pub(super) const MESSAGE: [&str; 8] =
    ["message_type", "text", "intents", "entities", "suggestion_id", "attachments", "analytics", "options"];

/// What a type may hold; none for a type that nobody serves.
pub(super) fn shape(response_type: &str) -> Option<Shape> {
    TABLE.iter().find(|(name, ..)| *name == response_type).map(|(_, shape, _)| *shape)
}

/// The types there are.
pub(super) fn types() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|(name, ..)| *name)
}

/// What a type does nothing without.
pub(super) fn needs(response_type: &str) -> &'static str {
    TABLE.iter().find(|(name, ..)| *name == response_type).map_or("more", |(.., needs)| needs)
}

fn anything(_: &str) -> Option<&'static [&'static str]> {
    None
}

fn text(path: &str) -> Option<&'static [&'static str]> {
    Some(match path {
        "" => &["response_type", "channels", "text", "values", "selection_policy", "repeat_on_reprompt"],
        "values" => &["text", "text_expression"],
        _ => return None,
    })
}

fn audio(path: &str) -> Option<&'static [&'static str]> {
    Some(match path {
        "" => &["response_type", "channels", "source", "title", "description", "alt_text", "channel_options"],
        "channel_options" => &["voice_telephony", "chat"],
        "channel_options.voice_telephony" => &["loop"],
        _ => return None,
    })
}

fn option(path: &str) -> Option<&'static [&'static str]> {
    Some(match path {
        "" => &["response_type", "channels", "title", "description", "preference", "options", "repeat_on_reprompt"],
        "options" => &["label", "value"],
        "options.value" => &["input"],
        _ => return None,
    })
}

fn suggestion(path: &str) -> Option<&'static [&'static str]> {
    Some(match path {
        "" => &["response_type", "channels", "title", "description", "preference", "suggestions"],
        "suggestions" => &["label", "value", "output", "dialog_node"],
        "suggestions.value" => &["input"],
        _ => return None,
    })
}

fn search(path: &str) -> Option<&'static [&'static str]> {
    Some(match path {
        "" => &["response_type", "channels", "header", "primary_results", "additional_results", "results", "query"],
        _ => return None,
    })
}

fn configure(path: &str) -> Option<&'static [&'static str]> {
    Some(match path {
        "" => &["response_type", "channels", "command_info"],
        "command_info" => &["type", "parameters"],
        _ => return None,
    })
}

fn dtmf(path: &str) -> Option<&'static [&'static str]> {
    const COLLECT: &[&str] = &[
        "count",
        "minimum_count",
        "maximum_count",
        "termination_key",
        "inter_digit_timeout_count",
        "ignore_speech",
        "stop_after_collection",
        "mask",
        "digits",
        "send_interval",
        "code",
        "duration",
        "volume",
    ];
    Some(match path {
        "" => &["response_type", "channels", "command_info"],
        "command_info" => &["type", "parameters"],
        "command_info.parameters" | "command_info.parameters.digits" => COLLECT,
        _ => return None,
    })
}

fn activities(path: &str) -> Option<&'static [&'static str]> {
    Some(match path {
        "" => &["response_type", "channels", "activities"],
        "activities" => &["type"],
        _ => return None,
    })
}

fn connect_to_agent(path: &str) -> Option<&'static [&'static str]> {
    Some(match path {
        "" => &[
            "response_type",
            "channels",
            "message_to_human_agent",
            "agent_available",
            "agent_unavailable",
            "transfer_info",
            "title",
            "description",
            "topic",
        ],
        "agent_available" | "agent_unavailable" => &["message"],
        "transfer_info" => &["target"],
        "transfer_info.target" => {
            &["amazon_connect", "service_desk", "chat", "zendesk", "salesforce", "genesys", "nice", "flex"]
        }
        "transfer_info.target.amazon_connect" => &["custom_data"],
        "transfer_info.target.service_desk" => &["sip"],
        "transfer_info.target.service_desk.sip" => {
            &["uri", "transfer_headers", "transfer_headers_send_method", "transfer_method", "transfer_target_header"]
        }
        _ => return None,
    })
}

fn end_session(path: &str) -> Option<&'static [&'static str]> {
    Some(match path {
        "" => &["response_type", "channels", "channel_options"],
        "channel_options" => &["voice_telephony"],
        "channel_options.voice_telephony" => &["sip"],
        "channel_options.voice_telephony.sip" => &["headers"],
        "channel_options.voice_telephony.sip.headers" => &["name", "value"],
        _ => return None,
    })
}

fn user_defined(path: &str) -> Option<&'static [&'static str]> {
    Some(match path {
        "" => &["response_type", "channels", "user_defined"],
        _ => return None,
    })
}
