//! From YAML to a script: every mistake at once, each with its line.
//!
//! Invariant: what is read here without a mistake is carried out as it was meant: the items of `respond` are read by the
//! reader that carries them out, and a field without effect is a mistake.

use std::collections::BTreeMap;

use bellhop_connect::contact_attributes::{Change, ContactAttributes};
use bellhop_dialogue::response::{self, Activities, Response, SipTarget};
use bellhop_sip::dialog::refer::{SendMethod, Transfer};
use serde_json::Value as Json;

use super::node::{At, Is, Key, Node};
use super::{Expectation, Script, ScriptMistake, Step, fields};
use crate::sounds;
use bellhop_tenancy::likely::hint;

const STEP: [&str; 8] = ["respond", "expect", "then", "otherwise", "silence", "transfer_failed", "meanwhile", "digits"];
const EXPECTATION: [&str; 3] = ["say", "press", "go"];
/// What can be pressed.
const KEYS_OF_A_TELEPHONE: &str = "0123456789*#ABCD";

/// A script, and where its parts stand.
pub(super) struct Read {
    pub(super) script: Script,
    pub(super) places: Places,
    pub(super) mistakes: Vec<ScriptMistake>,
}

/// Where the parts of a script stand.
#[derive(Default)]
pub(super) struct Places {
    pub(super) start: At,
    pub(super) steps: BTreeMap<String, At>,
    /// Where a step names another: step, key, and which of its expectations.
    pub(super) targets: BTreeMap<(String, &'static str, usize), At>,
    /// Where the items of `respond` stand.
    pub(super) responses: BTreeMap<String, Vec<At>>,
}

/// Gathers mistakes.
#[derive(Default)]
struct Reader {
    places: Places,
    mistakes: Vec<ScriptMistake>,
}

pub(super) fn read(root: &Node) -> Read {
    let mut reader = Reader::default();
    let map = reader.map(root, "the script", &["start", "steps"]);
    let mut script = Script { start: String::new(), steps: BTreeMap::new() };
    match find(&map, "start") {
        Some(node) => {
            reader.places.start = node.at;
            script.start = reader.text(node, "start").unwrap_or_default();
        }
        None => reader.missing(root, &map, "start", "`start` is missing: name the first step"),
    }
    match find(&map, "steps") {
        Some(node) => {
            if matches!(&node.is, Is::Map(map) if map.is_empty()) {
                reader.tell(node.at, "`steps` is empty: there is nothing to say");
            }
            for (key, value) in reader.entries(node, "`steps`") {
                reader.places.steps.insert(key.name.clone(), key.at);
                let step = reader.step(&key.name, value);
                script.steps.insert(key.name.clone(), step);
            }
        }
        None => reader.missing(root, &map, "steps", "`steps` are missing"),
    }
    Read { script, places: reader.places, mistakes: reader.mistakes }
}

fn find<'a>(map: &[(&'a Key, &'a Node)], name: &str) -> Option<&'a Node> {
    map.iter().find(|(key, _)| key.name == name).map(|(_, value)| *value)
}

impl Reader {
    fn tell(&mut self, at: At, why: impl Into<String>) {
        self.mistakes.push(ScriptMistake { at: Some(at), why: why.into() });
    }

    /// Something is missing, unless another key was meant to be it, which has been told.
    fn missing(&mut self, node: &Node, map: &[(&Key, &Node)], name: &str, why: &str) {
        let misspelt = map.iter().any(|(key, _)| !hint(&key.name, [name]).is_empty());
        if !misspelt && matches!(node.is, Is::Map(_)) {
            self.tell(node.at, why);
        }
    }

    /// The entries of a map; a key that comes twice is told, with both places, and counts once.
    fn entries<'a>(&mut self, node: &'a Node, what: &str) -> Vec<(&'a Key, &'a Node)> {
        let Is::Map(map) = &node.is else {
            self.tell(node.at, format!("{what} is {} where a map is expected", node.kind()));
            return vec![];
        };
        let mut once: Vec<(&Key, &Node)> = vec![];
        for (key, value) in map {
            match once.iter().find(|(first, _)| first.name == key.name) {
                Some((first, _)) => {
                    let (line, name) = (first.at.0, &key.name);
                    self.tell(key.at, format!("`{name}` is there twice in {what}: first in line {line}"));
                }
                None => once.push((key, value)),
            }
        }
        once
    }

    /// The entries of a map whose keys are known.
    fn map<'a>(&mut self, node: &'a Node, what: &str, known: &[&str]) -> Vec<(&'a Key, &'a Node)> {
        let entries = self.entries(node, what);
        for (key, _) in &entries {
            if !known.contains(&key.name.as_str()) {
                let unused = known.iter().copied().filter(|known| find(&entries, known).is_none());
                let hint = hint(&key.name, unused);
                self.tell(key.at, format!("{what} has no `{}`{hint}", key.name));
            }
        }
        entries
    }

    fn text(&mut self, node: &Node, what: &str) -> Option<String> {
        match &node.is {
            Is::Scalar(Json::String(text)) if !text.trim().is_empty() => return Some(text.clone()),
            Is::Scalar(Json::String(_)) | Is::Nothing => self.tell(node.at, format!("{what} is empty")),
            Is::Scalar(value) => self.tell(node.at, format!("{what} is {}: write \"{value}\"", node.kind())),
            _ => self.tell(node.at, format!("{what} is {} where a text is expected", node.kind())),
        }
        None
    }

    fn list<'a>(&mut self, node: &'a Node, what: &str) -> &'a [Node] {
        match &node.is {
            Is::List(list) if !list.is_empty() => return list,
            Is::List(_) | Is::Nothing => {
                self.tell(node.at, format!("{what} is empty: say what it is, or leave the key out"));
            }
            _ => self.tell(node.at, format!("{what} is {} where a list is expected", node.kind())),
        }
        &[]
    }

    fn step(&mut self, name: &str, node: &Node) -> Step {
        let mut step = Step::default();
        if matches!(&node.is, Is::Nothing) || matches!(&node.is, Is::Map(map) if map.is_empty()) {
            self.tell(node.at, format!("step `{name}` is empty: it says nothing and expects nothing"));
            return step;
        }
        let what = format!("step `{name}`");
        let map = self.map(node, &what, &STEP);
        for (key, value) in map.iter().copied() {
            match key.name.as_str() {
                "respond" => {
                    let items = self.list(value, &format!("`respond` of {what}"));
                    step.respond = items.iter().map(Node::json).collect();
                    self.places.responses.insert(name.to_owned(), items.iter().map(|item| item.at).collect());
                    items.iter().for_each(|item| self.response(item));
                }
                "expect" => {
                    let expectations = self.list(value, &format!("`expect` of {what}"));
                    for (n, expectation) in expectations.iter().enumerate() {
                        step.expect.extend(self.expectation(name, n, expectation));
                    }
                    self.phrases_once(&what, expectations);
                }
                "then" => step.then = self.target(name, "then", value),
                "otherwise" => step.otherwise = self.target(name, "otherwise", value),
                "silence" => step.silence = self.target(name, "silence", value),
                "transfer_failed" => step.transfer_failed = self.target(name, "transfer_failed", value),
                "meanwhile" => step.meanwhile = self.target(name, "meanwhile", value),
                "digits" => step.digits = self.target(name, "digits", value),
                _ => {}
            }
        }
        if step.then.is_some() && !step.expect.is_empty() {
            self.tell(node.at, format!("{what} has both `then` and `expect`: one of them says what it listens for"));
        }
        let follows = |key: &&Key| !["respond", "expect", "then"].contains(&key.name.as_str());
        let known = |key: &&Key| STEP.contains(&key.name.as_str());
        // Who wrote both means one of them, and which decides what the rest means.
        if let Some(then) = step.then.as_ref().filter(|_| step.expect.is_empty()) {
            for key in map.iter().map(|(key, _)| *key).filter(known).filter(follows) {
                let why = format!("`{}` has no effect beside `then`: what follows is said by step `{then}`", key.name);
                self.tell(key.at, why);
            }
        }
        step
    }

    fn target(&mut self, step: &str, key: &'static str, node: &Node) -> Option<String> {
        self.places.targets.insert((step.to_owned(), key, 0), node.at);
        self.text(node, &format!("`{key}` of step `{step}`"))
    }

    fn expectation(&mut self, step: &str, n: usize, node: &Node) -> Option<Expectation> {
        let what = format!("an expectation of step `{step}`");
        let map = self.map(node, &what, &EXPECTATION);
        let say = find(&map, "say").map(|node| self.list(node, "`say`")).unwrap_or_default();
        let say: Vec<String> = say.iter().filter_map(|phrase| self.text(phrase, "a phrase")).collect();
        let press = find(&map, "press").and_then(|node| Some((node, self.text(node, "`press`")?)));
        if let Some((node, keys)) = &press
            && let Some(no_key) = keys.chars().find(|key| !KEYS_OF_A_TELEPHONE.contains(*key))
        {
            self.tell(node.at, format!("`{no_key}` is no key of a telephone"));
        }
        let Some(target) = find(&map, "go") else {
            self.missing(node, &map, "go", &format!("{what} has no `go`: name the step it leads to"));
            return None;
        };
        if !["say", "press"].iter().any(|key| find(&map, key).is_some()) {
            self.missing(node, &map, "say", &format!("{what} has neither `say` nor `press`"));
        }
        self.places.targets.insert((step.to_owned(), "go", n), target.at);
        let go = self.text(target, "`go`")?;
        Some(Expectation { say, press: press.map(|(_, keys)| keys), go })
    }

    /// What may be said or pressed leads to one place: the second of two is never reached.
    fn phrases_once(&mut self, what: &str, expectations: &[Node]) {
        let mut heard: Vec<(String, At)> = vec![];
        for node in expectations {
            let said = match node.get("say").map(|say| &say.is) {
                Some(Is::List(list)) => list.as_slice(),
                _ => &[],
            };
            for (node, spoken) in
                said.iter().map(|node| (node, true)).chain(node.get("press").map(|node| (node, false)))
            {
                let Is::Scalar(Json::String(text)) = &node.is else { continue };
                let heard_as = if spoken { super::normalise(text) } else { format!("key {text}") };
                if heard_as.trim().is_empty() {
                    self.tell(node.at, format!("`{text}` has no words that could be heard"));
                } else if let Some((_, (line, _))) = heard.iter().find(|(other, _)| *other == heard_as) {
                    self.tell(node.at, format!("`{text}` is expected twice in {what}: first in line {line}"));
                } else {
                    heard.push((heard_as, node.at));
                }
            }
        }
    }

    /// One item of `respond`, read by the reader that will carry it out.
    fn response(&mut self, node: &Node) {
        if self.entries(node, "a response").is_empty() {
            return;
        }
        let Some(kind) = node.get("response_type") else { return self.type_is_missing(node) };
        let Some(response_type) = self.text(kind, "`response_type`") else { return };
        let item = node.json();
        let (read, out_of_range) = response::read(std::slice::from_ref(&item));
        // What only other channels serve is theirs to judge.
        if read.is_empty() && item.get("channels").is_some() {
            return;
        }
        let Some(shape) = fields::shape(&response_type) else {
            let hint = hint(&response_type, fields::types());
            self.tell(kind.at, format!("`{response_type}` is no response type that is served by telephone{hint}"));
            return;
        };
        let before = self.mistakes.len();
        out_of_range.iter().for_each(|refused| self.tell(node.at, refused.to_string()));
        self.without_effect(node, &mut vec![], &item, &read, shape);
        ["options", "suggestions"].into_iter().filter_map(|key| node.get(key)).for_each(|list| self.values(list));
        // What is misspelt is told by its own name.
        if self.mistakes.len() == before && read.iter().any(|one| matches!(one, Response::Unsupported { .. })) {
            let needs = fields::needs(&response_type);
            self.tell(node.at, format!("this `{response_type}` does nothing: it needs {needs}"));
        }
        self.effects(node, &response_type, &read);
    }

    fn type_is_missing(&mut self, node: &Node) {
        let Is::Map(map) = &node.is else { return };
        let likely = map.iter().find(|(key, _)| !hint(&key.name, ["response_type"]).is_empty());
        match likely {
            Some((key, _)) => {
                self.tell(key.at, format!("a response has no `{}`: did you mean `response_type`?", key.name))
            }
            None => self.tell(node.at, "a response has no `response_type`"),
        }
    }

    /// What the responses that were read would do on a call.
    fn effects(&mut self, node: &Node, response_type: &str, read: &[Response]) {
        let idle = Activities::default();
        if read.iter().any(|one| *one == Response::Start(idle) || *one == Response::Stop(idle)) {
            let why = "names no activity of a call: speech_to_text_recognition, dtmf_collection";
            self.tell(node.at, format!("this `{response_type}` {why}"));
        }
        for one in read {
            match one {
                Response::Text { text } if text.is_empty() => self.tell(node.at, "this `text` says nothing"),
                Response::Audio(audio) => {
                    if let Err(why) = sounds::address_of(&audio.source) {
                        let at = node.get("source").map_or(node.at, |source| source.at);
                        self.tell(at, format!("the sound `{}` cannot be fetched: {why}", audio.source));
                    }
                }
                _ => {}
            }
            let Response::ConnectToAgent(transfer) = one else { continue };
            self.sip_target(node, transfer.sip.as_ref());
            let path = ["transfer_info", "target", "amazon_connect", "custom_data"];
            let place = path.iter().try_fold(node, |node, key| node.get(key)).map_or(node.at, |node| node.at);
            let (_, changes) = ContactAttributes::from_custom_data(transfer.custom_data.as_ref());
            // Whoever writes a script can write what Amazon Connect takes; lists go along as JSON.
            for change in changes.iter().filter(|change| !matches!(change, Change::AsJson { .. })) {
                self.tell(place, format!("Amazon Connect does not take this `custom_data`: {change}"));
            }
        }
    }

    /// What a choice sends: `value.input`, or the message itself in place of `value`. Whatever stands there is sent as it is,
    /// so that a misspelt `input` or `text` would be sent too, and mean nothing.
    fn values(&mut self, list: &Node) {
        let Is::List(choices) = &list.is else { return };
        for value in choices.iter().filter_map(|choice| choice.get("value")) {
            let input = value.get("input");
            let Is::Map(sent) = &input.unwrap_or(value).is else { continue };
            for (key, _) in sent.iter().filter(|(key, _)| !fields::MESSAGE.contains(&key.name.as_str())) {
                let known = fields::MESSAGE.into_iter().chain(input.is_none().then_some("input"));
                let hint = hint(&key.name, known);
                // A message may hold more than we know of; a `value` without `input` is one or is misspelt.
                if input.is_none() || !hint.is_empty() {
                    self.tell(key.at, format!("`{}` is no field of a message{hint}", key.name));
                }
            }
        }
    }

    /// What the transfer itself would refuse when a caller waits for it.
    fn sip_target(&mut self, node: &Node, target: Option<&SipTarget>) {
        let Some(SipTarget { uri: Some(uri), headers, .. }) = target else { return };
        let transfer = Transfer { target: uri.clone(), headers: headers.clone(), send_method: SendMethod::default() };
        if let Err(why) = transfer.check() {
            let path = ["transfer_info", "target", "service_desk", "sip", "uri"];
            let at = path.iter().try_fold(node, |node, key| node.get(key)).map_or(node.at, |node| node.at);
            self.tell(at, format!("nobody can be transferred to `{uri}`: {why}"));
        }
    }

    /// Fields that nobody knows and that change nothing: misspelt, or in the wrong place.
    fn without_effect(
        &mut self,
        node: &Node,
        path: &mut Vec<Within>,
        item: &Json,
        read: &[Response],
        shape: fields::Shape,
    ) {
        match &node.is {
            Is::List(list) => {
                for (n, element) in list.iter().enumerate() {
                    path.push(Within::Index(n));
                    self.without_effect(element, path, item, read, shape);
                    path.pop();
                }
            }
            Is::Map(map) => {
                let within: Vec<&str> = path.iter().filter_map(Within::name).collect();
                let Some(known) = shape(&within.join(".")) else { return };
                for (key, value) in map {
                    path.push(Within::Key(key.name.clone()));
                    if known.contains(&key.name.as_str()) {
                        self.without_effect(value, path, item, read, shape);
                    } else if response::read(&[without(item, path)]).0 == read {
                        let unused = known.iter().copied().filter(|known| node.get(known).is_none());
                        let hint = hint(&key.name, unused);
                        self.tell(key.at, format!("`{}` has no effect here{hint}", key.name));
                    }
                    path.pop();
                }
            }
            _ => {}
        }
    }
}

/// A step of a path into an item.
enum Within {
    Key(String),
    Index(usize),
}

impl Within {
    fn name(&self) -> Option<&str> {
        match self {
            Self::Key(name) => Some(name),
            Self::Index(_) => None,
        }
    }
}

/// The item without the field at a path.
fn without(item: &Json, path: &[Within]) -> Json {
    let mut item = item.clone();
    let Some((Within::Key(last), within)) = path.split_last() else { return item };
    let place = within.iter().try_fold(&mut item, |json, step| match step {
        Within::Key(name) => json.get_mut(name),
        Within::Index(n) => json.get_mut(n),
    });
    if let Some(Json::Object(map)) = place {
        map.remove(last);
    }
    item
}
