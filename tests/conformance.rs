//! What an assistant of the hosted phone integration may rely on, case by case: `tests/dialogue/*.yaml`.
//!
//! A case is a conversation on virtual time with the turn loop. Steps put something in (`reply`, `part`, `says`, `speech`,
//! `silence`, `interim_result`, `mumbles`, `digits`, `played`, `wait` in seconds, `handoff_impossible`); `cut_at` is how much of a clip
//! is heard when it is cut from then on; `does` is everything that
//! came out since the last `does`; `sent` are places of the last message to the assistant (`null`: not there); `transcript` is
//! what an agent would read.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bellhop_dialogue::TurnLoop;
use bellhop_dialogue::call_facts::CallFacts;
use bellhop_dialogue::ports::{Part, TurnReply, TurnRequest};
use bellhop_dialogue::turn_loop::{Input, Output, Policy, SayId, Trigger};
use serde_json::{Value, json};

struct Talk {
    core: TurnLoop,
    now: Instant,
    did: Vec<String>,
    /// What the caller has still to hear.
    playing: VecDeque<SayId>,
    last: Option<TurnRequest>,
    /// How much of a clip is heard when it is cut.
    cut_at: f32,
}

impl Talk {
    fn begin(policy: &Value, facts: &Value) -> Self {
        let now = Instant::now();
        let mut talk = Self {
            core: TurnLoop::new(now, self::policy(policy), self::facts(facts).into()),
            now,
            did: vec![],
            playing: VecDeque::new(),
            last: None,
            cut_at: 1.0,
        };
        talk.put(Input::Begin);
        talk
    }

    fn put(&mut self, input: Input) {
        self.core.handle(self.now, input);
        self.drain();
    }

    fn drain(&mut self) {
        let mut cut = None;
        while let Some(output) = self.core.poll() {
            let did = match output {
                Output::Ask(request) => {
                    let mark = if request.barge_in_occurred { "!" } else { "" };
                    let did = format!("ask{mark} {}", request.input.text());
                    self.last = Some(*request);
                    did.trim_end().to_owned()
                }
                Output::Say { id, text, voice, cacheable } => {
                    self.playing.push_back(id);
                    let voice = if voice.is_empty() { String::new() } else { format!(" with {}", json!(*voice)) };
                    format!("say {text}{voice}{}", if cacheable { "" } else { " uncached" })
                }
                Output::Play { id, source, repeats } => {
                    self.playing.push_back(id);
                    format!("{} {source}", if repeats { "repeat" } else { "play" })
                }
                Output::SendDigits { id, digits } => {
                    self.playing.push_back(id);
                    let each = digits.digits.iter().map(|press| format!("{}/{}ms", press.digit, press.duration_ms));
                    format!("press {} every {}ms", each.collect::<Vec<_>>().join(" "), digits.interval_ms)
                }
                Output::StopRepeating => "stop repeating".to_owned(),
                Output::Cut => {
                    cut = cut.or(self.playing.front().copied());
                    self.playing.clear();
                    "cut".to_owned()
                }
                Output::AskEarly(request) => format!("ask early {}", request.input.text()),
                Output::ForgetEarly => "forget".to_owned(),
                Output::Pause => "pause".to_owned(),
                Output::Resume => "resume".to_owned(),
                // What the call record is told of: see `call_record.rs`.
                Output::Expect { .. } | Output::Did(_) => continue,
                Output::ConfigureRecognizer(fields) => format!("configure {}", Value::Object(fields)),
                Output::HandOff(transfer) => {
                    let target = transfer.sip.map(|sip| format!(" to {}", sip.uri.unwrap_or_default()));
                    let data = transfer.custom_data.map(|data| format!(" with {data}"));
                    format!("hand off{}{}", target.unwrap_or_default(), data.unwrap_or_default())
                }
                Output::Listening(on) => format!("listening {}", if on { "on" } else { "off" }),
                Output::EndConversation { headers } => {
                    let headers = headers.iter().map(|(name, value)| format!(" {name}={value}"));
                    format!("end{}", headers.collect::<String>())
                }
                Output::Skipped { response_type } => format!("skip {response_type}"),
                Output::Dropped(why) => format!("drop {}", why.label()),
                Output::OutOfRange(refused) => format!("ignore {}", refused.name),
                Output::Failed(failure) => format!("fail {failure}"),
            };
            self.did.push(did);
        }
        // As the playback does: what was being heard, or would have been next.
        if let Some(id) = cut {
            self.put(Input::WasCut { id, share: self.cut_at });
        }
    }

    fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.core.deadline().filter(|at| *at <= until) {
            self.now = at.max(self.now);
            self.core.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
    }

    fn number(&self) -> u32 {
        self.last.as_ref().map_or(0, |request| request.number)
    }

    fn step(&mut self, name: &str, value: &Value) -> Result<(), String> {
        match name {
            "reply" => {
                let message = if value.is_array() { json!({"output": {"generic": value}}) } else { value.clone() };
                let reply = TurnReply::from_message(message);
                // What was returned before is returned again, unless the step says otherwise: as services do.
                let context = if reply.context.is_null() { self.core.context().clone() } else { reply.context.clone() };
                self.put(Input::Replied { number: self.number(), reply: Ok(TurnReply { context, ..reply }) });
            }
            "part" => self.put(Input::ReplyPart { number: self.number(), part: Part::Item(value.clone()) }),
            "says" => {
                let text = value.as_str().or_else(|| value["text"].as_str()).unwrap_or_default().to_owned();
                let confidence = value["confidence"].as_f64().unwrap_or(0.9) as f32;
                self.put(Input::FinalResult { text, confidence, result: value.get("result").cloned() });
            }
            "speech" => self.put(Input::SpeechStarted),
            "so_far" => {
                let text = value.as_str().unwrap_or_default().to_owned();
                self.put(Input::MayBeAll { text, confidence: 0.9 });
            }
            "resumes" => self.put(Input::SpeechResumed),
            "speech_goes_on" => self.put(Input::SpeechSustained),
            "silence" => self.put(Input::SpeechEnded),
            "interim_result" => self.put(Input::InterimResult),
            "mumbles" => self.put(Input::NotUnderstood),
            "network" => self.put(Input::NetworkWarning),
            "digits" => {
                let digits = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                digits.chars().for_each(|digit| self.put(Input::Pressed(digit)));
            }
            "played" => {
                let all = self.playing.len();
                for _ in 0..value.as_u64().map_or(all, |some| all.min(some as usize)) {
                    if let Some(id) = self.playing.pop_front() {
                        self.put(Input::Played(id));
                    }
                }
            }
            "cut_at" => self.cut_at = value.as_f64().ok_or("cut where?")? as f32,
            "wait" => self.wait(Duration::from_secs_f64(value.as_f64().ok_or("wait how long?")?)),
            "handoff_impossible" => self.put(Input::HandoffImpossible),
            "does" => {
                let did = json!(std::mem::take(&mut self.did));
                if did != *value {
                    return Err(format!("it does {did}, not {value}"));
                }
            }
            "sent" => {
                let message = self.last.as_ref().map(TurnRequest::message).unwrap_or_default();
                for (place, expected) in value.as_object().ok_or("sent needs places")? {
                    let sent = message.pointer(place).unwrap_or(&Value::Null);
                    if sent != expected {
                        return Err(format!("{place} is {sent}, not {expected}"));
                    }
                }
            }
            "transcript" => {
                let lines = self.core.transcript().lines().iter();
                let read: Vec<String> = lines.map(|line| format!("{:?}: {}", line.speaker, line.text)).collect();
                if json!(read) != *value {
                    return Err(format!("the agent reads {read:?}"));
                }
            }
            "custom_data" => {
                let kept = Value::Object(self.core.custom_data().clone());
                if kept != *value {
                    return Err(format!("custom data are {kept}"));
                }
            }
            other => return Err(format!("`{other}` is no step")),
        }
        Ok(())
    }
}

fn policy(given: &Value) -> Policy {
    let default = Policy::default();
    let flag = |name: &str, default: bool| given[name].as_bool().unwrap_or(default);
    let seconds = |name: &str| given[name].as_f64().map(Duration::from_secs_f64);
    Policy {
        post_response: seconds("post_response").unwrap_or(default.post_response),
        final_utterance: seconds("final_utterance"),
        assistant: seconds("assistant").unwrap_or(default.assistant),
        inactivity: seconds("inactivity"),
        silent_turns: given["silent_turns"].as_u64().map_or(default.silent_turns, |turns| turns as u32),
        barge_in: if given["barge_in"] == "interim_result" { Trigger::InterimResult } else { Trigger::Speech },
        resume: flag("resume", default.resume),
        sustained: seconds("sustained").unwrap_or(default.sustained),
        end_of_turn: default.end_of_turn,
        preemptive: flag("preemptive", default.preemptive),
        confidence: given["confidence"].as_f64().unwrap_or_default() as f32,
        notify_filtered: flag("notify_filtered", default.notify_filtered),
        notify_network: flag("notify_network", default.notify_network),
        suppress_echo: flag("suppress_echo", default.suppress_echo),
        redaction: default.redaction,
    }
}

fn facts(given: &Value) -> CallFacts {
    let text = |name: &str| given[name].as_str().unwrap_or_default().to_owned();
    let headers = given["headers"].as_object().into_iter().flatten();
    CallFacts {
        caller: text("caller"),
        dialled: text("dialled"),
        sip_call_id: text("sip_call_id"),
        sip_request_uri: text("sip_request_uri"),
        sip_from_uri: text("sip_from_uri"),
        sip_to_uri: text("sip_to_uri"),
        invite_headers: headers
            .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().into()))
            .collect(),
    }
}

fn run(case: &Value) -> Result<(), String> {
    let mut talk = Talk::begin(&case["policy"], &case["facts"]);
    if case["greeting"] != false {
        talk.step("reply", &json!([]))?;
        talk.did.clear();
    }
    let steps = case["steps"].as_array().ok_or("a case needs steps")?;
    for (n, step) in steps.iter().enumerate() {
        let (name, value) = match step {
            Value::String(name) => (name.as_str(), &Value::Null),
            Value::Object(map) if map.len() == 1 => map.iter().next().map(|(k, v)| (k.as_str(), v)).ok_or("empty")?,
            _ => return Err(format!("step {n} is not one thing")),
        };
        talk.step(name, value).map_err(|why| format!("step {n} ({name}): {why}"))?;
    }
    if talk.did.is_empty() { Ok(()) } else { Err(format!("in the end it does {:?}", talk.did)) }
}

fn cases() -> Vec<Value> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/dialogue");
    let mut files: Vec<_> = std::fs::read_dir(folder).expect("a folder").filter_map(|f| Some(f.ok()?.path())).collect();
    files.sort();
    let read = |path: &std::path::PathBuf| {
        let text = std::fs::read_to_string(path).expect("readable");
        serde_saphyr::from_str::<Vec<Value>>(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    files.iter().flat_map(read).collect()
}

#[test]
fn every_case_of_the_contract_is_kept() {
    let cases = cases();
    let failures: Vec<String> = cases
        .iter()
        .filter_map(|case| run(case).err().map(|why| format!("{}: {why}", case["case"].as_str().unwrap_or("?"))))
        .collect();
    assert!(failures.is_empty(), "{} of {} cases:\n{}", failures.len(), cases.len(), failures.join("\n"));
    assert!(cases.len() >= 80, "only {} cases were found", cases.len());
}

/// The page for designers names every response type and command that cases use, and nothing that is not in a case.
#[test]
fn the_page_of_response_types_is_the_list_of_cases() {
    let page = include_str!("../docs/response-types.md");
    let mut used = std::collections::BTreeSet::new();
    let mut look = |item: &Value| {
        let name = item["response_type"].as_str().unwrap_or_default();
        let command = item.pointer("/command_info/type").or_else(|| item.pointer("/user_defined/vgwAction/command"));
        used.insert(match command.and_then(Value::as_str) {
            Some(command) => format!("`{name}` / `{command}`"),
            None => format!("`{name}`"),
        });
    };
    for case in cases() {
        for step in case["steps"].as_array().into_iter().flatten() {
            let generic = step["reply"].as_array().or_else(|| step.pointer("/reply/output/generic")?.as_array());
            generic.into_iter().flatten().for_each(&mut look);
        }
    }
    let rows: std::collections::BTreeSet<String> = page
        .lines()
        .filter(|line| line.starts_with("| `"))
        .filter_map(|line| Some(line.split('|').nth(1)?.trim().to_owned()))
        .collect();
    let missing: Vec<_> = used.difference(&rows).collect();
    let untested: Vec<_> = rows.difference(&used).collect();
    assert!(missing.is_empty() && untested.is_empty(), "not on the page: {missing:?}; without a case: {untested:?}");
}
