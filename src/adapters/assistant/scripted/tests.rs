//! Scripts as they are spoken with, and what their authors are told of mistakes.

use super::*;

const SCRIPT: &str = "
start: hello
steps:
  hello:
    respond: [{response_type: text, text: hi}]
    expect:
      - {say: [opening hours, When are you open?], press: '1', go: hours}
      - {press: '2', go: number}
    otherwise: pardon
    silence: bye
  pardon: {respond: [{response_type: text, text: pardon}], then: hello}
  hours: {respond: [{response_type: text, text: nine to five}], then: hello}
  number: {respond: [{response_type: dtmf, command_info: {type: collect, parameters: {count: 4}}}], digits: bye}
  bye: {respond: [{response_type: end_session}]}
";

/// They are spoken before the first call, which asks for the greeting.
#[test]
fn what_it_says_whatever_happens_is_told_with_the_greeting_first() {
    let texts = Script::parse(SCRIPT).expect("good").texts();
    assert_eq!(texts, ["hi", "nine to five", "pardon"]);
}

fn talk(inputs: &[TurnInput]) -> Vec<String> {
    let script = Script::parse(SCRIPT).expect("good");
    let mut context = Value::Null;
    inputs
        .iter()
        .map(|input| {
            let request = TurnRequest::new(0, input.clone(), context.clone());
            let (reply, again) = (script.reply(&request), script.reply(&request));
            assert_eq!(reply.context, again.context, "a retry gets the same");
            context = reply.context;
            context["step"].as_str().unwrap_or_default().to_owned()
        })
        .collect()
}

fn says(text: &str) -> TurnInput {
    TurnInput::Speech { text: text.into(), confidence: 1.0, result: None }
}

fn presses(digits: &str) -> TurnInput {
    TurnInput::Digits { digits: digits.into(), succeeded: true }
}

#[test]
fn speech_keys_silence_and_noise_find_their_steps() {
    let said =
        [TurnInput::Start, says("when are you open"), says("nonsense"), presses("1"), TurnInput::PostResponseTimeout];
    assert_eq!(talk(&said), ["hello", "hours", "pardon", "hours", "bye"]);
    assert_eq!(talk(&[TurnInput::Start, presses("2"), presses("4711")]), ["hello", "number", "bye"]);
    assert_eq!(talk(&[TurnInput::Start, TurnInput::NotUnderstood]), ["hello", "pardon"]);
}

#[test]
fn the_phrases_of_the_step_that_listens_come_with_the_reply() {
    let script = Script::parse(SCRIPT).expect("good");
    let context = json!({"step": "hello"});
    let request = TurnRequest::new(1, says("x"), context);
    assert_eq!(script.reply(&request).phrases.as_deref().map(<[String]>::len), Some(2));
}

fn mistakes(yaml: &str) -> Vec<String> {
    let BadScript(mistakes) = Script::parse(yaml).expect_err(yaml);
    let at = |at: Option<(usize, usize)>| at.map_or_else(|| "?".into(), |(line, column)| format!("{line}:{column}"));
    mistakes.into_iter().map(|mistake| format!("{} {}", at(mistake.at), mistake.why)).collect()
}

/// A script of one step that ends, with something more in it.
fn step(more: &str) -> String {
    format!("start: a\nsteps:\n  a:\n    respond: [{{response_type: end_session}}]\n{more}")
}

#[test]
fn every_mistake_is_named_at_once_with_its_line() {
    let bad = "start: aa\nsteps:\n  b: {expect: [{go: c}], otherwise: d, then: b, respond: [{text: x}]}\n";
    let told = mistakes(bad);
    assert_eq!(told.len(), 7, "{told:#?}");
    assert!(told[0].starts_with("1:8 `start` names the step `aa`"), "{told:#?}");
    assert!(told.iter().all(|why| why.starts_with("1:") || why.starts_with("3:")), "{told:#?}");
}

#[test]
fn what_is_no_yaml_is_told_with_its_line() {
    for (yaml, at) in [("start: [", "1:"), ("start: a\nsteps:\n\tb: {}", "3:"), ("a: *nobody", "1:")] {
        let told = mistakes(yaml);
        assert!(told.len() == 1 && told[0].starts_with(at) && !told[0].contains('\n'), "{told:#?}");
    }
}

#[test]
fn a_misspelt_field_is_told_with_what_was_meant() {
    for (more, told) in [
        ("    otherwse: a", "5:5 step `a` has no `otherwse`: did you mean `otherwise`?"),
        ("    expect: [{sya: [hello], go: a}]", "5:15 an expectation of step `a` has no `sya`: did you mean `say`?"),
        ("    expect: [{say: [hello], got: a}]", "5:29 an expectation of step `a` has no `got`: did you mean `go`?"),
        ("    expect: [{press: 1, go: a}]", "5:22 `press` is a number: write \"1\""),
        ("    expect: [{press: \"x\", go: a}]", "`x` is no key of a telephone"),
        ("    expect: [{say: hello, go: a}]", "`say` is a text where a list is expected"),
        ("    otherwise: aa", "`otherwise` names the step `aa`, which is not there: did you mean `a`?"),
        ("    otherwise:", "`otherwise` of step `a` is empty"),
    ] {
        let all = mistakes(&step(more));
        assert!(all.len() == 1 && all[0].contains(told), "{told} in {all:#?}");
    }
}

#[test]
fn responses_are_checked_by_the_reader_that_carries_them_out() {
    for (item, told) in [
        (
            "{response_type: txt, text: hi}",
            "`txt` is no response type that is served by telephone: did you mean `text`?",
        ),
        ("{response_type: hologram}", "`hologram` is no response type"),
        ("{response_typ: text, text: hi}", "did you mean `response_type`?"),
        ("{response_type: text, txt: hi}", "`txt` has no effect here: did you mean `text`?"),
        ("{response_type: text}", "this `text` does nothing: it needs `text`"),
        ("{response_type: text, text: hi, txet: hi}", "`txet` has no effect here"),
        ("{response_type: text, text: hi, text: ho}", "`text` is there twice in a response: first in line 3"),
        ("{response_type: dtmf, command_info: {type: collect, paramters: {count: 4}}}", "did you mean `parameters`?"),
        (
            "{response_type: dtmf, command_info: {type: collect, parameters: {count: 4, terminaton_key: '#'}}}",
            "did you mean `termination_key`?",
        ),
        ("{response_type: dtmf, command_info: {type: colect}}", "this `dtmf` does nothing"),
        ("{response_type: connect_to_agent, agent_availabel: {message: hi}}", "did you mean `agent_available`?"),
        (
            "{response_type: connect_to_agent, transfer_info: {target: {amazon_connect: {custom_data: {SessionHistoryKey: x}}}}}",
            "Amazon Connect does not take this `custom_data`: ",
        ),
        (
            "{response_type: connect_to_agent, transfer_info: {target: {amazon_connect: {custom_dta: {a: b}}}}}",
            "did you mean `custom_data`?",
        ),
        ("{response_type: stop_activities, activities: [{type: speech}]}", "names no activity"),
        (
            "{response_type: user_defined, user_defined: {vgwAction: {command: vgwActForceNoInputTrun}}}",
            "this `user_defined` does nothing",
        ),
        ("{response_type: text, text: ' '}", "this `text` says nothing"),
        ("{response_type: audio, source: bell.wav}", "the sound `bell.wav` cannot be fetched: its URL is none"),
        ("{response_type: audio, source: 'file:///bell.wav'}", "its URL does not begin with http:// or https://"),
        (
            "{response_type: connect_to_agent, transfer_info: {target: {service_desk: {sip: {uri: desk}}}}}",
            "nobody can be transferred to `desk`: the target is not a sip:, sips: or tel: URI",
        ),
        (
            "{response_type: connect_to_agent, transfer_info: {target: {service_desk: {sip: {uri: 'sip:a@b;method=BYE'}}}}}",
            "makes another request of the transfer",
        ),
        (
            "{response_type: option, title: What?, options: [{label: a, value: {inptu: {text: b}}}]}",
            "`inptu` is no field of a message: did you mean `input`?",
        ),
        (
            "{response_type: option, title: What?, options: [{label: a, value: {input: {txet: b}}}]}",
            "`txet` is no field of a message: did you mean `text`?",
        ),
        (
            "{response_type: option, title: What?, options: [{label: a, value: {input: {text: b}, imput: {}}}]}",
            "`imput` has no effect here",
        ),
        ("{response_type: suggestion, suggestions: [{label: a, value: {says: b}}]}", "`says` is no field of a message"),
        ("just text", "a response is a text where a map is expected"),
    ] {
        let all = mistakes(&format!("start: a\nsteps:\n  a: {{respond: [{item}]}}\n"));
        assert!(all.len() == 1 && all[0].starts_with("3:") && all[0].contains(told), "{told} in {all:#?}");
    }
    // What other channels serve, and what a vendor's designer writes beside, is no mistake.
    for item in [
        "{response_type: image, source: x, channels: [{channel: chat}]}",
        "{response_type: text, values: [{text: hi}], selection_policy: sequential}",
        "{response_type: dtmf, command_info: {type: collect, parameters: {maximum_count: 4, ignore_speech: false}}}",
        "{response_type: speech_to_text, command_info: {type: configure, parameters: {narrowband_recognize: {model: m}}}}",
    ] {
        let yaml = format!("start: a\nsteps:\n  a: {{respond: [{item}]}}\n");
        assert!(Script::parse(&yaml).is_ok(), "{item}: {:?}", Script::parse(&yaml));
    }
}

#[test]
fn what_is_there_twice_is_told_with_both_lines() {
    let twice = step("  b: {then: a}\n  a: {then: b}\n");
    assert_eq!(mistakes(&twice), ["6:3 `a` is there twice in `steps`: first in line 3"]);
    let twice = step("    expect:\n      - {say: [Hello there!], go: a}\n      - {say: [hello there], go: a}\n");
    assert_eq!(mistakes(&twice), ["7:16 `hello there` is expected twice in step `a`: first in line 6"]);
    let twice = step("    expect: [{press: '1', go: a}, {press: '1', go: a}]\n");
    assert!(mistakes(&twice)[0].contains("`1` is expected twice"));
    let twice = step("    silence: a\n    silence: a\n");
    assert_eq!(mistakes(&twice), ["6:5 `silence` is there twice in step `a`: first in line 5"]);
}

#[test]
fn the_script_of_the_page_is_good() {
    let page = include_str!("../../../../docs/scripted-assistant.md");
    let yaml = page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a sample");
    let script = Script::parse(yaml).expect("good");
    assert_eq!(script.alternatives().get("greeting"), Some(&4));
}

#[test]
fn steps_nobody_reaches_are_told() {
    assert_eq!(
        mistakes(&step("  b: {then: a}\n"))[0],
        "5:3 nothing leads to step `b`: name it somewhere, or take it out"
    );
}

/// A field may be known, well spelt and there once, and no call ever comes to where it leads.
#[test]
fn what_can_never_happen_is_told() {
    let end = "{response_type: end_session}";
    for (steps, told) in [
        (
            format!(
                "a: {{respond: [{{response_type: text, text: hi}}], then: b, otherwise: c}}\n  b: {{silence: c}}\n  c: {{respond: [{end}]}}"
            ),
            "3:60 `otherwise` has no effect beside `then`: what follows is said by step `b`",
        ),
        (
            format!("a: {{respond: [{end}], expect: [{{press: '1', go: b}}]}}\n  b: {{respond: [{end}]}}"),
            "3:3 step `a` hangs up (`end_session`): nothing can follow it",
        ),
        (
            format!("a: {{respond: [{{response_type: text, text: hi}}], meanwhile: b}}\n  b: {{respond: [{end}]}}"),
            "`meanwhile` of step `a` has no effect",
        ),
        (
            format!(
                "a: {{respond: [{{response_type: text, text: hi}}], transfer_failed: b}}\n  b: {{respond: [{end}]}}"
            ),
            "`transfer_failed` of step `a` has no effect",
        ),
        ("a: {}".to_owned(), "3:6 step `a` is empty"),
        (format!("a: {{respond: [{end}], expect: []}}"), "`expect` of step `a` is empty"),
        ("a: {respond: [{response_type: text, text: hi}], expect: [{say: [], go: a}]}".to_owned(), "`say` is empty"),
    ] {
        let all = mistakes(&format!("start: a\nsteps:\n  {steps}\n"));
        assert!(all.len() == 1 && all[0].contains(told), "{told} in {all:#?}");
    }
    // What leads to a step by `then` counts for the step that listens.
    let heard = format!(
        "start: a\nsteps:\n  a: {{respond: [{{response_type: connect_to_agent}}], then: b}}\n  b: {{transfer_failed: c}}\n  c: {{respond: [{end}]}}\n"
    );
    assert!(Script::parse(&heard).is_ok(), "{:?}", Script::parse(&heard));
}

/// However many steps lead to it by `then`, the one at the end listens; and a long script is checked in a moment.
#[test]
fn a_long_chain_of_then_ends_where_it_says() {
    let mut yaml = "start: s0\nsteps:\n".to_owned();
    for n in 0..300 {
        yaml += &format!("  s{n}: {{respond: [{{response_type: text, text: hi}}], then: s{}}}\n", n + 1);
    }
    yaml += "  s300: {expect: [{say: [good bye], go: end}]}\n  end: {respond: [{response_type: end_session}]}\n";
    let script = Script::parse(&yaml).expect("good");
    assert_eq!(script.next("s0", &says("good bye")), "end");
}

#[test]
fn a_first_mistake_has_no_followers_and_words_are_ours() {
    let two = "start: a\nsteps: {a: {respond: [{response_type: end_session}]}}\n---\nstart: b\n";
    assert_eq!(mistakes(two), ["4:1 a second document begins here (`---`): a script is one"]);
    for (steps, told) in
        [("", "2:7 `steps` is nothing where a map"), (" {}", "2:8 `steps` is empty"), (" []", "is a list where a map")]
    {
        let all = mistakes(&format!("start: a\nsteps:{steps}\n"));
        assert!(
            all.len() == 1 && all[0].contains(told.split_once(' ').map_or(told, |(_, told)| told)),
            "{told} in {all:#?}"
        );
    }
}

#[test]
fn rings_without_the_caller_are_told() {
    let force = "{response_type: user_defined, user_defined: {vgwAction: {command: vgwActForceNoInputTurn}}}";
    for (yaml, told) in [
        // By default the turn leads to the same step again.
        (
            format!("start: a\nsteps:\n  a: {{respond: [{force}]}}\n"),
            "3:3 the steps `a` → `a` follow each other without the caller",
        ),
        (
            format!(
                "start: a\nsteps:\n  a: {{respond: [{force}], meanwhile: b}}\n  b: {{respond: [{force}], meanwhile: a}}\n"
            ),
            "`a` → `b` → `a`",
        ),
        ("start: a\nsteps:\n  a: {respond: [{response_type: channel_transfer}]}\n".into(), "`a` → `a`"),
        (
            "start: a\nsteps:\n  a: {respond: [{response_type: connect_to_agent}], transfer_failed: a}\n".into(),
            "`a` → `a`",
        ),
        ("start: a\nsteps:\n  a: {then: b}\n  b: {then: a}\n".into(), "`then` leads in a ring (`a` → `b` → `a`)"),
    ] {
        let all = mistakes(&yaml);
        assert!(all.len() == 1 && all[0].contains(told), "{told} in {all:#?}");
    }
    let out = format!(
        "start: a\nsteps:\n  a: {{respond: [{force}], meanwhile: b}}\n  b: {{respond: [{{response_type: end_session}}]}}\n"
    );
    assert!(Script::parse(&out).is_ok());
}

#[test]
fn words_that_other_readers_take_for_flags_are_words() {
    let yaml = "\u{feff}start: yes\r\nsteps:\r\n  yes:\r\n    respond: [{response_type: text, text: no}]\r\n    expect: [{say: [yes, no, off], press: '0', go: yes}]\r\n";
    let script = Script::parse(yaml).expect("good");
    assert_eq!(script.phrases(), ["yes", "no", "off"]);
}

/// Whoever reads it has the stack of a thread: what ends that ends every call of the server.
#[test]
fn a_script_that_is_nested_is_refused_before_the_stack_ends() {
    let chain: String = (1..3000).map(|n| format!("  a{n}: &a{n} {{x: *a{}}}\n", n - 1)).collect();
    let scripts = [
        format!("start: g\nsteps: {}{}", "{a: ".repeat(60), "}".repeat(60)),
        format!("start: g\nsteps: {}{}", "[".repeat(50_000), "]".repeat(50_000)),
        format!("start: g\nsteps:\n  a0: &a0 {{x: 1}}\n{chain}"),
    ];
    let reading = std::thread::Builder::new().stack_size(2 * 1024 * 1024);
    let read = reading.spawn(move || scripts.map(|script| Script::parse(&script).is_err())).expect("a thread");
    assert_eq!(read.join().expect("it comes back"), [true; 3]);
}
