//! `user_defined.vgwAction`: commands, today's and those of the vendor's older gateway.

use serde_json::{Value, json};

use super::fields::{OutOfRange, flag, text};
use super::options::OptionsConfig;
use super::{Activities, Audio, BargeInSwitch, Means, Response, dtmf, sip_target, speech_to_text, text_to_speech};
use crate::plain_text;
use crate::response::ConnectToAgent;

/// Most bytes of one `user_defined`.
const BYTES_MAX: usize = 5000;

pub(super) fn read(item: &Value, refused: &mut Vec<OutOfRange>) -> Option<Vec<Response>> {
    let defined = item.get("user_defined")?;
    if defined.to_string().len() > BYTES_MAX {
        return None;
    }
    let action = defined.get("vgwAction").unwrap_or(defined);
    command(action.get("command")?.as_str()?, action.get("parameters").unwrap_or(&Value::Null), refused)
}

/// The form of older assistants: `vgwAction` or `vgwActionSequence` beside `generic`, and in the context.
pub(super) fn read_sequence(from: &Value, refused: &mut Vec<OutOfRange>) -> Vec<Response> {
    let one = from.get("vgwAction").into_iter();
    let many = from.get("vgwActionSequence").and_then(Value::as_array).into_iter().flatten();
    let mut known = |action: &Value| {
        let name = action.get("command").and_then(Value::as_str).unwrap_or_default();
        let read = command(name, action.get("parameters").unwrap_or(&Value::Null), refused);
        read.unwrap_or_else(|| vec![Response::Unsupported { response_type: name.to_owned() }])
    };
    one.chain(many).flat_map(&mut known).collect()
}

fn command(name: &str, parameters: &Value, refused: &mut Vec<OutOfRange>) -> Option<Vec<Response>> {
    let pause = |speech: bool| Activities { speech, digits: !speech };
    let switch = |by, allowed| Response::BargeIn(BargeInSwitch { by, allowed });
    let one = match name {
        "vgwActForceNoInputTurn" => Response::ForceNoInputTurn,
        "vgwActExcludeFromTTSCache" => Response::ExcludeFromCache,
        "vgwActSetOptionsConfig" => Response::OptionsConfig(OptionsConfig::read(parameters)),
        "vgwActSetDisambiguationConfig" => Response::DisambiguationConfig(OptionsConfig::read(parameters)),
        "vgwActSendSMS" => Response::SendSms,
        "vgwActPlayText" => {
            let texts =
                parameters.get("text").map(|texts| texts.as_array().cloned().unwrap_or_else(|| vec![texts.clone()]));
            let plain = |item: &Value| Some(Response::Text { text: plain_text::of_markdown(&text(Some(item))?) });
            return Some(texts?.iter().filter_map(plain).collect());
        }
        "vgwActPlayUrl" => Response::Audio(Audio {
            source: text(parameters.get("url"))?,
            repeats: flag(parameters.get("playURLInLoop")).unwrap_or(false),
        }),
        "vgwActHangup" => Response::EndSession { headers: vec![] },
        "vgwActTransfer" => transfer(parameters)?,
        "vgwActSetSTTConfig" => speech_to_text::read_legacy(parameters)?,
        "vgwActSetTTSConfig" => text_to_speech::read_legacy(parameters)?,
        "vgwActCollectDtmf" => {
            let renamed =
                json!({"count": parameters.get("dtmfCount"), "termination_key": parameters.get("dtmfTermKey")});
            dtmf::collect(&renamed, refused)?
        }
        "vgwActPauseSTT" => Response::Stop(pause(true)),
        "vgwActUnPauseSTT" => Response::Start(pause(true)),
        "vgwActPauseDTMF" => Response::Stop(pause(false)),
        "vgwActUnPauseDTMF" => Response::Start(pause(false)),
        "vgwActEnableSpeechBargeIn" => switch(Means::Speech, true),
        "vgwActDisableSpeechBargeIn" => switch(Means::Speech, false),
        "vgwActEnableDTMFBargeIn" => switch(Means::Digits, true),
        "vgwActDisableDTMFBargeIn" => switch(Means::Digits, false),
        "vgwActSendDTMF" => send_digits(parameters, refused)?,
        _ => return None,
    };
    Some(vec![one])
}

/// Digits as one text.
fn send_digits(parameters: &Value, refused: &mut Vec<OutOfRange>) -> Option<Response> {
    let digits = text(parameters.get("dtmfDigits"))?;
    let codes: Vec<Value> =
        digits.chars().filter_map(|key| "0123456789*#ABCD".find(key)).map(|code| json!({"code": code})).collect();
    dtmf::send(&json!({"digits": codes, "send_interval": parameters.get("sendInterval")}), refused)
}

/// A transfer by SIP.
fn transfer(parameters: &Value) -> Option<Response> {
    let headers = |map: &Value| {
        let map = map.as_object()?;
        Some(map.iter().map(|(name, value)| json!({"name": name, "value": value})).collect::<Vec<_>>())
    };
    let mut all = parameters.get("transferHeaders").and_then(headers).unwrap_or_default();
    if let (Some(name), Some(value)) =
        (text(parameters.get("transferHeader")), text(parameters.get("transferHeaderVal")))
    {
        all.push(json!({"name": name, "value": value}));
    }
    if let Some(data) = text(parameters.get("uuiData")) {
        all.push(json!({"name": "User-to-User", "value": data}));
    }
    let method = text(parameters.get("transferMethod")).unwrap_or_default();
    let by = match text(parameters.get("uuiSendMethod")).as_deref() {
        Some("contactHeader") => "contact_header",
        Some("referToURL") => "refer_to_header",
        _ => "custom_header",
    };
    let method = if method.eq_ignore_ascii_case("hangup") { "hangup" } else { "refer" };
    let sip = json!({"uri": parameters.get("transferTarget"), "transfer_method": method,
        "transfer_headers": all, "transfer_headers_send_method": by});
    let sip = sip_target::read(&json!({"transfer_info": {"target": {"service_desk": {"sip": sip}}}}))?;
    Some(Response::ConnectToAgent(ConnectToAgent { sip: Some(sip), ..ConnectToAgent::default() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::response::sip_target::{HeadersBy, TransferMethod};

    fn act(command: &str, parameters: Value) -> Option<Vec<Response>> {
        read(&json!({"user_defined": {"vgwAction": {"command": command, "parameters": parameters}}}), &mut vec![])
    }

    #[test]
    fn every_command_is_read() {
        for (name, parameters) in [
            ("vgwActForceNoInputTurn", json!(null)),
            ("vgwActExcludeFromTTSCache", json!(null)),
            ("vgwActSetOptionsConfig", json!({"prefixText": "%s"})),
            ("vgwActSetDisambiguationConfig", json!({})),
            ("vgwActSendSMS", json!({"message": "hi"})),
            ("vgwActPlayText", json!({"text": ["a"]})),
            ("vgwActPlayUrl", json!({"url": "http://x/a.wav", "playURLInLoop": "Yes"})),
            ("vgwActHangup", json!(null)),
            ("vgwActTransfer", json!({"transferTarget": "sip:a@b"})),
            ("vgwActSetSTTConfig", json!({"config": {"model": "m"}})),
            ("vgwActSetTTSConfig", json!({"config": {"voice": "v"}})),
            ("vgwActCollectDtmf", json!({"dtmfCount": "4"})),
            ("vgwActPauseDTMF", json!(null)),
            ("vgwActUnPauseDTMF", json!(null)),
            ("vgwActPauseSTT", json!(null)),
            ("vgwActUnPauseSTT", json!(null)),
            ("vgwActEnableSpeechBargeIn", json!(null)),
            ("vgwActDisableSpeechBargeIn", json!(null)),
            ("vgwActEnableDTMFBargeIn", json!(null)),
            ("vgwActDisableDTMFBargeIn", json!(null)),
            ("vgwActSendDTMF", json!({"dtmfDigits": "12#"})),
        ] {
            assert_eq!(act(name, parameters).map(|responses| responses.len()), Some(1), "{name}");
        }
        assert_eq!(act("vgwActDance", json!(null)), None);
        assert_eq!(act("vgwActPlayText", json!({"text": "a".repeat(BYTES_MAX)})), None, "too long");
    }

    #[test]
    fn an_older_transfer_keeps_its_headers_and_method() {
        let read = act(
            "vgwActTransfer",
            json!({"transferTarget": "sip:a\\@b", "transferHeader": "X-A",
            "transferHeaderVal": "1", "uuiData": "deadbeef", "uuiSendMethod": "referToURL"}),
        );
        let Some([Response::ConnectToAgent(ConnectToAgent { sip: Some(sip), .. })]) = read.as_deref() else {
            panic!("a transfer")
        };
        assert_eq!((sip.uri.as_deref(), &sip.method), (Some("sip:a@b"), &TransferMethod::Refer(HeadersBy::ReferTo)));
        assert_eq!(sip.headers.len(), 2);
    }

    #[test]
    fn a_sequence_beside_generic_is_read_in_order() {
        let output = json!({"vgwActionSequence": [
            {"command": "vgwActPlayText", "parameters": {"text": ["**a**", "b"]}}, {"command": "vgwActSetConversationConfig"}]});
        let expected = [
            Response::Text { text: "a".into() },
            Response::Text { text: "b".into() },
            Response::Unsupported { response_type: "vgwActSetConversationConfig".into() },
        ];
        assert_eq!(read_sequence(&output, &mut vec![]), expected);
    }
}
