//! Parts of a document, judged alone and put together.

use super::super::json;
use super::*;

fn id(n: u8) -> Id {
    Id::new(1, [n; 10])
}

fn document(text: &str) -> Table {
    json::read(text).expect("JSON")
}

fn told(mistakes: &[Mistake]) -> Vec<String> {
    mistakes.iter().map(ToString::to_string).collect()
}

const ASSISTANT: &str = r#"{"kind":"webhook","url":"https://a.example","secret":"kept:secret"}"#;
const RECOGNIZER: &str = r#"{"port":"speech_to_text","kind":"worker","url":"wss://s.example","token":"kept:token"}"#;
const VOICE: &str = r#"{"port":"text_to_speech","kind":"espeak"}"#;

/// The parts of a tenant: two assistants, a recognizer and a voice.
fn parts() -> BTreeMap<Id, Table> {
    [(1, ASSISTANT), (2, ASSISTANT), (3, RECOGNIZER), (4, VOICE)].map(|(n, text)| (id(n), document(text))).into()
}

fn integration(rest: &str) -> Table {
    let lists = format!(
        r#""assistant":["{}","{}"],"speech_to_text":["{}"],"text_to_speech":["{}"]"#,
        id(1),
        id(2),
        id(3),
        id(4)
    );
    document(&format!("{{{lists}{rest}}}"))
}

fn with_numbers(numbers: &[Number], integration: &Table, parts: &BTreeMap<Id, Table>) -> Composed {
    let beside = Beside { tenant: "acme", numbers, calls: 100, calls_per_second: None };
    Composed::new(&beside, (id(9), integration), |_, id| parts.get(&id))
}

fn composed(integration: &Table, parts: &BTreeMap<Id, Table>) -> Composed {
    with_numbers(&[Number::parse("+18005550123").expect("a number")], integration, parts)
}

#[test]
fn a_part_is_judged_alone_in_the_words_of_the_whole() {
    let of = |kind, text: &str| told(&read_part(kind, &document(text), &Unopened).mistakes);
    assert_eq!(of(PartKind::Assistant, ASSISTANT), [""; 0]);
    assert_eq!(of(PartKind::Assistant, r#"{"kind":"webhook","url":"a","secert":"s"}"#).len(), 2);
    assert_eq!(of(PartKind::Service, RECOGNIZER), [""; 0]);
    assert_eq!(
        of(PartKind::Service, r#"{"kind":"espeak"}"#),
        ["port: is missing: one of speech_to_text, text_to_speech"]
    );
    let file = of(PartKind::Assistant, r#"{"kind":"scripted","script":"/etc/passwd"}"#);
    assert_eq!(
        file,
        [
            "script: names a file of the server, which its operator's file alone may: give the script itself as `script_text`"
        ]
    );
    assert_eq!(of(PartKind::Assistant, r#"{"kind":"scripted","script_text":"start: a"}"#), [""; 0]);
    let place = of(PartKind::Assistant, r#"{"kind":"webhook","url":"https://a.example","secret":"env:HOME"}"#);
    assert!(place[0].starts_with("secret: `env:HOME` is a place on the server"), "{place:?}");
    let own = of(PartKind::Assistant, r#"{"kind":"scripted","script_text":"a","fallback":{"kind":"scripted"}}"#);
    assert_eq!(own, ["fallback: stands in the integration, which lists in order what it uses"]);
}

#[test]
fn secrets_of_a_part_are_set_apart_and_those_that_are_kept_stay() {
    let text = r#"{"kind":"watson","url":"https://w.example","api_key":"s3cret","assistant_id":"i"}"#;
    let apart = read_part(PartKind::Assistant, &document(text), &Unopened).set_apart().expect("good");
    assert!(json::write(&apart.document).contains(r#""api_key":"kept:api_key""#));
    assert_eq!(apart.secrets, [("api_key".to_owned(), Secret::new("s3cret"))]);
    let again = read_part(PartKind::Assistant, &apart.document, &Unopened).set_apart().expect("good");
    assert_eq!((again.document, again.secrets), (apart.document, vec![]));
}

#[test]
fn an_integration_reads_like_the_document_of_a_file() {
    let (parts, integration) = (parts(), integration(r#","sip":{"user":"u","password":"kept:sip.password"}"#));
    let composed = composed(&integration, &parts);
    let secrets: BTreeMap<(Id, String), Result<Secret, String>> = [
        ((id(1), "secret"), "one"),
        ((id(2), "secret"), "two"),
        ((id(3), "token"), "three"),
        ((id(9), "sip.password"), "four"),
    ]
    .map(|((id, path), secret)| ((id, path.to_owned()), Ok(Secret::new(secret))))
    .into();
    let read = composed.read(&KeptSecrets(&secrets));
    assert_eq!(read.mistakes, []);
    let whole = document(
        r#"{"name":"acme","numbers":["+18005550123"],"sip":{"user":"u","password":"four"},
        "assistant":{"kind":"webhook","url":"https://a.example","secret":"one",
            "fallback":{"kind":"webhook","url":"https://a.example","secret":"two"}},
        "speech_to_text":{"kind":"worker","url":"wss://s.example","token":"three"},
        "text_to_speech":{"kind":"espeak"}}"#,
    );
    assert_eq!(read.settings, Reading::of(&whole, &super::super::Alone).settings);
    let mut other = secrets;
    other.insert((id(3), "token".into()), Ok(Secret::new("newer")));
    assert_ne!(composed.read(&KeptSecrets(&other)).mark, read.mark, "a newer secret is another reading");
    other.insert((id(3), "token".into()), Err("does not open".into()));
    let mistakes = composed.read(&KeptSecrets(&other)).mistakes;
    assert_eq!((mistakes.len(), mistakes[0].0, mistakes[0].1.path.as_str()), (1, id(3), "token"));
}

#[test]
fn a_mistake_is_told_of_the_part_it_stands_in() {
    let mut parts = parts();
    parts.insert(id(2), document(r#"{"kind":"webhook","url":"nowhere","secret":"kept:secret"}"#));
    parts.insert(id(4), document(r#"{"port":"text_to_speech","kind":"flite"}"#));
    let read =
        composed(&integration(r#","language":"de-DE","sip":{"realm":"\""},"max_calls":3"#), &parts).read(&Unopened);
    let told: Vec<(Id, &str)> = read.mistakes.iter().map(|(id, mistake)| (*id, mistake.path.as_str())).collect();
    assert_eq!(
        told,
        [(id(9), "max_calls"), (id(2), "url"), (id(9), "sip.realm"), (id(4), "kind")],
        "{:?}",
        read.mistakes
    );
}

#[test]
fn lists_name_what_is_there_each_once_and_of_their_port() {
    let parts = parts();
    let of = |text: &str| -> Vec<String> {
        let read = composed(&document(text), &parts).read(&Unopened);
        read.mistakes.iter().map(|(_, mistake)| mistake.to_string()).collect()
    };
    let (one, three, four) = (id(1), id(3), id(4));
    let text =
        format!(r#"{{"assistant":["{one}","{one}"],"speech_to_text":["{four}"],"text_to_speech":["{}"]}}"#, id(7));
    assert_eq!(
        of(&text),
        [
            "assistant[1]: is in the list twice".to_owned(),
            "speech_to_text[0]: is a service of another port than speech_to_text".to_owned(),
            format!("text_to_speech[0]: `{}` is no service of this tenant", id(7)),
        ]
    );
    let text = format!(r#"{{"assistant":"{one}","speech_to_text":[],"text_to_speech":[1,"{four}"]}}"#);
    let (assistant, recognizer, voice) = (
        "assistant: is not a list of identifiers, the preferred first",
        "speech_to_text: has to name one at least, and 8 at most",
        "text_to_speech[0]: is not an identifier",
    );
    assert_eq!(of(&text), [assistant, recognizer, voice]);
    let text = format!(r#"{{"assistant":["{one}"],"speech_to_text":["{three}"]}}"#);
    assert_eq!(of(&text), ["text_to_speech: is missing: add this section"]);
}

#[test]
fn a_text_that_says_where_a_secret_is_kept_is_found_wherever_it_stands() {
    for (text, found) in [
        (r#"{"a":{"b":[{"c":"kept:x"}]}}"#, Some("a.b[0].c")),
        (r#"{"a":" kept:x"}"#, Some("a")),
        (r#"{"a":"unkept:x","b":["x kept:"]}"#, None),
    ] {
        assert_eq!(names_kept(&document(text)).as_deref(), found, "{text}");
    }
}

#[test]
fn an_integration_without_a_number_waits_for_one() {
    let (parts, integration) = (parts(), integration(""));
    let composed = with_numbers(&[], &integration, &parts);
    let read = composed.read(&Unopened);
    assert_eq!((read.mistakes.len(), read.settings.numbers.len()), (0, 0));
    assert_eq!(composed.parts().collect::<Vec<_>>(), [id(1), id(2), id(3), id(4)]);
}

#[test]
fn secrets_of_an_integration_itself_are_set_apart_and_those_of_its_parts_are_not_its() {
    let (parts, integration) = (parts(), integration(r#","sip":{"user":"u","password":"s3cret"}"#));
    let apart = composed(&integration, &parts).read(&Unopened).set_apart().expect("good");
    assert_eq!(apart.secrets, [("sip.password".to_owned(), Secret::new("s3cret"))]);
    let text = json::write(&apart.document);
    assert!(text.contains(r#""password":"kept:sip.password""#) && !text.contains("https://a.example"), "{text}");
    assert!(text.contains(&id(1).to_string()), "the lists stay lists: {text}");
}
