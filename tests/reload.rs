//! SIGHUP: the configuration is read again by a real server while its callers talk. What is good of it is served, what is
//! not is refused by name, and nobody who talks notices.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use bellhop_rehearsal::caller::{CallPlan, Ended, Line};
use bellhop_rehearsal::flow::Stop;
use bellhop_sip::hop::Transport;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

#[path = "support/callers.rs"]
mod callers;
#[path = "support/node.rs"]
#[allow(dead_code)] // what other tests need of it
mod node;
#[path = "support/rest.rs"]
#[allow(dead_code)] // each binary uses its part
mod rest;

use callers::{Callers, plan};
use node::{Node, SCRIPT, config, folder, stand_in, with_many_ports};
use rest::Client;

const CALLS: usize = 20;
const CHANGES: usize = 200;
/// Names of tenants that come and go.
const NAMES: usize = 4;
/// A pause that callers hear; what a busy machine makes is less.
const PAUSE: Duration = Duration::from_secs(1);

/// A node that reads its configuration again.
struct Reloaded {
    node: Node,
    path: std::path::PathBuf,
    /// The configuration without its tenants, and acme's section.
    head: String,
    acme: String,
}

impl Reloaded {
    fn start() -> Self {
        Self::start_with(|text| text)
    }

    /// The same with another beginning.
    fn start_with(change: impl FnOnce(String) -> String) -> Self {
        let (connect, connect_at) = stand_in();
        let folder = folder();
        let path = config(&folder, connect_at, "counting", "");
        let text = std::fs::read_to_string(&path).expect("written");
        let text = change(with_many_ports(&text));
        std::fs::write(&path, &text).expect("written");
        let (head, acme) = text.split_once("[[tenants]]").expect("a tenant");
        let (head, acme) = (head.to_owned(), format!("[[tenants]]{acme}"));
        Self { node: Node::serve(&path, folder, connect), path, head, acme }
    }

    /// Writes another file and has it read; what came of it, as the metric calls it.
    fn reads(&mut self, text: &str) -> &'static str {
        let results = ["applied", "in_part", "refused"];
        let count =
            |result: &&str| self.node.metric(&format!("bellhop_configuration_readings_total{{result=\"{result}\"}}"));
        let before: Vec<f64> = results.iter().map(count).collect();
        std::fs::write(&self.path, text).expect("written");
        kill(Pid::from_raw(self.node.process.id() as i32), Signal::SIGHUP).expect("the process is there");
        self.node.wait_for("bellhop_configuration_readings_total", before.iter().sum::<f64>() + 1.0);
        let grown = results.iter().zip(before).find(|(result, before)| count(result) > *before);
        grown.map(|(result, _)| *result).expect("one of them has grown")
    }

    /// Waits until a series of the metrics is gone.
    fn loses(&self, series: &str) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !self.node.metric(series).is_nan() {
            assert!(Instant::now() < deadline, "{series} is still there");
            std::thread::yield_now();
        }
    }

    /// Waits until the log has a line with all of these.
    fn told(&self, parts: &[&str]) {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let log = std::fs::read_to_string(self.node.folder.join("log")).unwrap_or_default();
            if log.lines().any(|line| parts.iter().all(|part| line.contains(part))) {
                return;
            }
            assert!(Instant::now() < deadline, "{parts:?} in {log}");
            std::thread::yield_now();
        }
    }

    /// Another tenant: acme's section under a name, a number and a script of its own.
    fn tenant(&self, name: &str, number: &str, script: &str) -> String {
        std::fs::write(self.node.folder.join(format!("{name}.yaml")), script).expect("written");
        let renamed = self.acme.replace("\"acme\"", &format!("\"{name}\""));
        renamed.replace("+18005550123", number).replace("script.yaml", &format!("{name}.yaml"))
    }

    /// How a call to a number ends.
    fn calls(&self, number: &str) -> Ended {
        let mut call = plan(&self.node, Transport::Udp, number, 7);
        call.lines = vec![Line::AtOnce(Duration::ZERO), Line::HangUp];
        let mut reports = Callers::place(std::iter::once(call)).reports();
        reports.remove(0).ended
    }

    fn ends(mut self, callers: Callers) {
        kill(Pid::from_raw(self.node.process.id() as i32), Signal::SIGTERM).expect("the process is there");
        for report in callers.reports() {
            assert_eq!(report.ended, Ended::ByGateway("SIP;cause=503;text=\"node draining\"".into()));
            assert!(report.longest_gap < PAUSE, "a pause of {:?}", report.longest_gap);
        }
        assert!(self.node.process.wait().expect("it ends").success());
    }
}

/// In each round one tenant is added, which is the only one to have its number, one changed, and one removed; names come
/// again. Each new caller tells by what lands in their contact which round's tenant they spoke to; by then it is gone.
#[test]
fn twenty_calls_talk_while_tenants_are_added_changed_and_removed_two_hundred_times() {
    let mut reloaded = Reloaded::start();
    let patient = |n: usize| CallPlan {
        limit: Duration::from_secs(400),
        ..plan(&reloaded.node, [Transport::Udp, Transport::Tcp][n % 2], "+18005550123", n)
    };
    let callers = Callers::place((0..CALLS).map(patient));
    reloaded.node.wait_for("bellhop_call_setup_seconds_count", CALLS as f64);
    let threads = reloaded.node.metric("process_threads");
    let mut guests = vec![];
    for n in 0..CHANGES {
        let script = SCRIPT.replace("topic: loan", &format!("topic: round-{n}"));
        let (name, number) = (format!("guest-{}", n % NAMES), format!("+1800556{n:04}"));
        let acme = reloaded.acme.replace("numbers =", &format!("max_calls = {}\nnumbers =", 100 + n));
        let text = format!("{}{acme}{}", reloaded.head, reloaded.tenant(&name, &number, &script));
        assert_eq!(reloaded.reads(&text), "applied", "round {n}");
        let node = &reloaded.node;
        assert_eq!(node.metric("bellhop_tenant_calls_limit{tenant=\"acme\"}"), (100 + n) as f64);
        let contact = format!("contact-{n}");
        let stop = node.connect.contact_arrives(&contact, "+12065550100", &number).expect("the flow runs");
        let Stop::Transferring { user_to_user } = stop else { panic!("{stop:?}") };
        let mut call = plan(node, [Transport::Udp, Transport::Tcp][n % 2], &number, n);
        call.headers = node.connect.headers(&contact, &user_to_user);
        call.lines = vec![Line::AtOnce(Duration::from_millis(500)), Line::Press("0".into())];
        let offered = format!("bellhop_calls_offered_total{{tenant=\"{name}\"}}");
        let before = node.metric(&offered);
        guests.push(Callers::place(std::iter::once(call)));
        while node.metric(&offered) <= before {
            std::thread::yield_now();
        }
        if n > 0 {
            let refused = reloaded.calls(&format!("+1800556{:04}", n - 1));
            assert_eq!(refused, Ended::Refused(403), "the number of round {} is nobody's", n - 1);
        }
    }
    let ended: Vec<Ended> = guests.into_iter().flat_map(Callers::reports).map(|report| report.ended).collect();
    for (n, ended) in ended.iter().enumerate() {
        assert!(matches!(ended, Ended::ByGateway(_)), "guest {n}: {ended:?}");
        let topic = reloaded.node.connect.attributes(&format!("contact-{n}")).remove("topic");
        assert_eq!(topic, Some(format!("round-{n}")), "what the call of round {n} began with");
    }
    assert_eq!(reloaded.node.metric("bellhop_calls_active{tenant=\"acme\"}"), CALLS as f64, "nobody was hung up on");
    assert_eq!(reloaded.node.metric("bellhop_calls_hung_total"), 0.0);
    let now = reloaded.node.metric("process_threads");
    assert!(now <= threads + 8.0, "threads: {threads} before, {now} after");
    reloaded.ends(callers);
}

#[test]
fn what_is_refused_stays_as_it_was_and_is_told_by_name() {
    let mut reloaded = Reloaded::start();
    let callers = Callers::call(&reloaded.node, 2);
    let (head, acme) = (reloaded.head.clone(), reloaded.acme.clone());
    let spare = reloaded.tenant("spare", "+18005550200", SCRIPT);
    assert_eq!(reloaded.reads(&format!("{head}{acme}{spare}")), "applied");
    reloaded.told(&["\"added\":\"spare\"", "\"removed\":\"\"", "read again"]);
    assert_eq!(reloaded.calls("+18005550200"), Ended::ByCaller);

    // A change with a mistake, a newcomer with another, and one who wants a number that its owner has to keep.
    let bad = acme.replace("+18005550123", "+18005550124").replace("\"flite\"", "\"siri\"");
    let missing = reloaded.tenant("missing", "+18005550201", SCRIPT).replace("missing.yaml", "nowhere.yaml");
    let taker = reloaded.tenant("taker", "+18005550123", SCRIPT);
    let fine = reloaded.tenant("fine", "+18005550202", SCRIPT);
    assert_eq!(reloaded.reads(&format!("{head}{bad}{missing}{taker}{fine}")), "in_part");
    reloaded.told(&["a change is refused", "\"tenant\":\"acme\"", "siri", "bellhop.toml:"]);
    reloaded.told(&["is not served", "\"tenant\":\"missing\"", "nowhere.yaml is not there"]);
    reloaded.told(&["is not served", "\"tenant\":\"taker\"", "belongs to tenant `acme` already"]);
    reloaded.told(&["\"added\":\"fine\"", "\"removed\":\"spare\"", "\"refused\":\"acme missing taker\""]);
    let ready = reloaded.node.get("/readyz");
    let skipped: BTreeSet<&str> = ready.lines().filter(|line| line.starts_with("not served")).collect();
    let expected = ["missing", "taker"].map(|name| format!("not served: tenant {name}, mistakes: 1"));
    assert_eq!(skipped, expected.iter().map(String::as_str).collect(), "{ready}");
    assert_eq!(reloaded.node.metric("bellhop_tenant_skipped{tenant=\"taker\"}"), 1.0);
    for (number, ends) in [
        ("+18005550123", Ended::ByCaller),
        ("+18005550124", Ended::Refused(403)),
        ("+18005550200", Ended::Refused(403)),
        ("+18005550202", Ended::ByCaller),
    ] {
        assert_eq!(reloaded.calls(number), ends, "{number}");
    }
    reloaded.loses("bellhop_tenant_calls_limit{tenant=\"spare\"}");
    let text = reloaded.node.get("/metrics");
    assert!(!text.contains("\"spare\""), "nothing of it is left: {text}");
    assert_eq!(reloaded.reads(&format!("{head}{acme}{fine}")), "applied", "all is mended");
    assert!(!reloaded.node.get("/readyz").contains("not served"));
    reloaded.loses("bellhop_tenant_skipped{tenant=\"taker\"}");
    reloaded.ends(callers);
}

/// REST shows the file as it is served by now, and changes nothing of it.
#[test]
fn what_the_file_says_is_listed_as_it_is_served_and_changed_in_the_file_alone() {
    let mut reloaded = Reloaded::start();
    let client = Client::operator(&reloaded.node);
    let items = |path: &str| {
        let listed = client.get(path);
        listed.body["items"].as_array().unwrap_or_else(|| panic!("{listed:?}")).clone()
    };
    let names = || -> Vec<(Value, Value)> {
        let mut all: Vec<(Value, Value)> =
            items("/tenants").iter().map(|one| (one["name"].clone(), one["applied"]["told"].clone())).collect();
        all.sort_by_key(|(name, _)| name.to_string());
        all
    };
    assert_eq!(names(), [(json!("acme"), json!("1 of 1 nodes"))]);
    let tenant = items("/tenants").remove(0);
    let (integration, number) = (items("/integrations").remove(0), items("/numbers").remove(0));
    assert!([&tenant, &integration, &number].iter().all(|one| one["from_file"] == true));
    assert_eq!((&number["number"], &number["integration"]), (&json!("+18005550123"), &integration["id"]));
    assert_eq!(integration["settings"]["assistant"]["script"], "script.yaml");
    let connect = &integration["settings"]["connect"];
    assert_eq!((&connect["instance_arn"], &connect["secret_access_key"]), (&json!(node::INSTANCE), &Value::Null));
    let path = format!("/integrations/{}", integration["id"].as_str().expect("an id"));
    let tested = client.post(&format!("{path}/test-connection"), Value::Null);
    assert_eq!((tested.status, &tested.body["valid"]), (200, &json!(true)), "{tested:?}");
    let seen = [("If-Match", "\"0\""), ("Content-Type", "application/merge-patch+json")];
    let refused = client.ask("PATCH", &path, &seen, json!({"name": "other"}));
    assert_eq!(refused.status, 409, "{refused:?}");
    let other = format!("/assistants?tenant={}", tenant["id"].as_str().expect("an id"));
    assert_eq!(client.post(&other, json!({"name": "x", "settings": {}})).status, 409);

    let (guest, head, acme) =
        (reloaded.tenant("guest", "+18005550124", SCRIPT), reloaded.head.clone(), reloaded.acme.clone());
    let bad = guest.replace("kind = \"flite\"", "kind = \"nobody\"");
    assert_eq!(reloaded.reads(&format!("{head}{acme}{bad}")), "in_part");
    assert_eq!(names()[1], (json!("guest"), json!("0 of 1 nodes")), "it is not served for its mistakes");
    assert_eq!(items("/integrations").len(), 1);
    assert_eq!(reloaded.reads(&format!("{head}{guest}")), "applied");
    assert_eq!(names(), [(json!("guest"), json!("1 of 1 nodes"))]);
    assert_eq!(items("/numbers")[0]["number"], "+18005550124");
    assert_eq!(client.get(&path).status, 404, "it is gone");
}

/// Calls and records know a tenant by its name, so a name is one tenant's: of the store or of the file, whoever has it.
#[test]
fn a_name_that_file_and_store_both_want_is_whose_it_is() {
    let mut reloaded = Reloaded::start();
    let client = Client::operator(&reloaded.node);
    let taken = client.post("/tenants", json!({"name": "Acme", "plan": "plus"}));
    assert_eq!(taken.status, 409, "{taken:?}");
    // One that nobody serves yet: it has no integration.
    client.makes("/tenants", json!({"name": "guest", "plan": "plus"}));
    node::until("the server knows it", || {
        let listed = client.get("/tenants").body;
        let guest = listed["items"].as_array().expect("a list").iter().find(|one| one["name"] == "guest");
        guest.is_some_and(|guest| guest["applied"]["by"] == 1)
    });
    let (head, acme, guest) =
        (reloaded.head.clone(), reloaded.acme.clone(), reloaded.tenant("guest", "+18005550124", SCRIPT));
    assert_eq!(reloaded.reads(&format!("{head}{acme}{guest}")), "in_part");
    reloaded.told(&["a tenant of the store is called `guest` too"]);
    assert!(matches!(reloaded.calls("+18005550124"), Ended::Refused(..)), "it is not served");
    let twice = format!("{head}{acme}{acme}");
    assert_eq!(reloaded.reads(&twice.replacen("+18005550123", "+18005550125", 1)), "in_part");
    let listed = client.get("/tenants").body;
    let named =
        |name: &str| listed["items"].as_array().expect("a list").iter().filter(|one| one["name"] == name).count();
    assert_eq!((named("acme"), named("guest")), (1, 1), "{listed}");
}

#[test]
fn a_file_that_may_lack_somebody_takes_nobody_away() {
    let mut reloaded = Reloaded::start();
    let (head, acme) = (reloaded.head.clone(), reloaded.acme.clone());
    let other = reloaded.tenant("other", "+18005550200", SCRIPT);
    assert_eq!(reloaded.reads(&format!("{head}[[tenants\n{acme}")), "refused");
    reloaded.told(&["the configuration cannot be read", "not TOML"]);
    for (text, result) in [
        (format!("{head}{}{other}", acme.replace("name = ", "nam = ")), "in_part"),
        (format!("{head}{}", other.replace("[[tenants]]", "[[tenant]]")), "in_part"),
        (format!("{head}[nonsense]\n{other}"), "in_part"),
    ] {
        assert_eq!(reloaded.reads(&text), result, "{text}");
        assert_eq!(reloaded.calls("+18005550123"), Ended::ByCaller, "acme may be in it: {text}");
    }
    let cut_off = head.replacen("[http]\n", "[http]\npublic_url = \"https://bellhop.example\"\n", 1);
    assert_eq!(reloaded.reads(&cut_off), "in_part", "a whole file in itself, and half of the one before");
    assert_eq!(reloaded.calls("+18005550123"), Ended::ByCaller);
    reloaded.told(&["tenants: has no section any more"]);
    reloaded.told(&["a mistake outside of the tenants", "did you mean `name`?"]);
    assert_eq!(reloaded.reads(&format!("{head}{other}")), "applied");
    assert_eq!(reloaded.calls("+18005550123"), Ended::Refused(403), "now it is sure");
    let callers = Callers::place(std::iter::empty());
    reloaded.ends(callers);
}

/// Who has to log in does so over TLS, and listeners change with a restart alone: a tenant is judged by those that run.
#[test]
fn a_tenant_is_judged_by_the_listeners_that_run() {
    let login = |reloaded: &Reloaded| {
        let sip = "[tenants.sip]\nuser = \"trunk\"\npassword = \"secret\"\n[tenants.connect]";
        reloaded.tenant("safe", "+18005550200", SCRIPT).replace("[tenants.connect]", sip)
    };
    let mut reloaded = Reloaded::start();
    let text = format!("{}{}{}", reloaded.head.replace("tcp+tls:", "tcp:"), reloaded.acme, login(&reloaded));
    assert_eq!(reloaded.reads(&text), "applied", "TLS is spoken until the restart");
    reloaded.told(&["needs a restart", "\"keys\":\"sip.listen\""]);
    reloaded.ends(Callers::place(std::iter::empty()));

    let mut reloaded = Reloaded::start_with(|text| text.replace("tcp+tls:", "tcp:"));
    let text = format!("{}{}{}", reloaded.head.replace("\"tcp:", "\"tcp+tls:"), reloaded.acme, login(&reloaded));
    assert_eq!(reloaded.reads(&text), "in_part", "TLS is not spoken before the restart");
    reloaded.told(&[
        "is not served",
        "\"tenant\":\"safe\"",
        "the listeners that the server was started with have no tls:",
    ]);
    reloaded.ends(Callers::place(std::iter::empty()));
}

#[test]
fn what_needs_a_restart_is_told_and_what_a_tenant_names_is_looked_at_too() {
    let mut reloaded = Reloaded::start();
    let (head, acme) = (reloaded.head.clone(), reloaded.acme.clone());
    let limited = head.replace("drain_seconds = 5", "drain_seconds = 5\nmax_calls = 7");
    assert_eq!(reloaded.reads(&format!("{limited}{acme}[serve]\nnumbers = \"whole\"\n")), "applied");
    reloaded.told(&["needs a restart", "\"keys\":\"serve.numbers sip.max_calls\""]);
    assert_ne!(reloaded.node.metric("bellhop_calls_limit "), 7.0);
    let of_node = |path: &Path, topic: &str| {
        std::fs::write(path, SCRIPT.replace("topic: loan", &format!("topic: {topic}"))).expect("written");
    };
    let text = format!("{head}{acme}");
    assert_eq!(reloaded.reads(&text), "applied");
    of_node(&reloaded.node.folder.join("script.yaml"), "mortgage");
    assert_eq!(reloaded.reads(&text), "applied");
    reloaded.told(&["\"changed\":\"acme\"", "read again"]);
    let (_, stop) = reloaded.node.call(
        Transport::Udp,
        "c1",
        vec![Line::AtOnce(Duration::from_millis(300)), Line::Press("0".into())],
    );
    assert!(!matches!(stop, Stop::Transferring { .. }), "{stop:?}");
    assert_eq!(reloaded.node.connect.attributes("c1").remove("topic"), Some("mortgage".to_owned()));
    let callers = Callers::place(std::iter::empty());
    reloaded.ends(callers);
}
