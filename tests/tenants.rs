//! Tenants of the store: they come, change and go by another process while a real server has calls. A PostgreSQL tells the
//! server of each change, a SQLite is looked at.

use std::time::{Duration, Instant};

use bellhop_adapters::secrets::MasterKeySource;
use bellhop_rehearsal::caller::{CallPlan, Ended, Line};
use bellhop_rehearsal::flow::Stop;
use bellhop_sip::hop::Transport;
use bellhop_tenancy::store::{Documents, KeptKind, Numbers, TenantChange, TenantState, Tenants};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

#[path = "support/callers.rs"]
#[allow(dead_code)] // each binary uses its part
mod callers;
#[path = "support/kept.rs"]
#[allow(dead_code)] // each binary uses its part
mod kept;
#[path = "support/node.rs"]
#[allow(dead_code)] // what other tests need of it
mod node;
#[path = "support/postgres.rs"]
#[allow(dead_code, unreachable_pub)]
mod postgres;
#[path = "support/rest.rs"]
#[allow(dead_code)] // each binary uses its part
mod rest;

use callers::{Callers, plan};
use kept::{KeptTenants, assistant, operator};
use node::{Node, on_database, until, with_many_ports};
use postgres::Cluster;
use rest::Client;

/// The number of a tenant of the store.
const GUEST: &str = "+18005560001";
const CALLS: usize = 20;
const CHANGES: usize = 200;
/// How long the database is away.
const AWAY: Duration = Duration::from_secs(60);
/// A pause that callers hear; what a busy machine makes is less.
const PAUSE: Duration = Duration::from_secs(1);

/// A node with a tenant of its file, with ports for many, and where its Amazon Connect is.
fn start() -> (Node, String) {
    Node::changed(|text| with_many_ports(&text))
}

/// The same with a PostgreSQL.
fn start_on(url: &str) -> (Node, String) {
    Node::changed(|text| on_database(&with_many_ports(&text), url))
}

/// How a call to a number ends.
fn calls(node: &Node, number: &str) -> Ended {
    let mut call = plan(node, Transport::Udp, number, 7);
    call.lines = vec![Line::AtOnce(Duration::ZERO), Line::HangUp];
    Callers::place(std::iter::once(call)).reports().remove(0).ended
}

/// A caller who comes by the contact flow and asks for an agent.
fn asks_for_an_agent(node: &Node, contact: &str, number: &str, n: usize) -> CallPlan {
    let stop = node.connect.contact_arrives(contact, "+12065550100", number).expect("the flow runs");
    let Stop::Transferring { user_to_user } = stop else { panic!("{stop:?}") };
    let mut call = plan(node, [Transport::Udp, Transport::Tcp][n % 2], number, n);
    call.headers = node.connect.headers(contact, &user_to_user);
    call.lines = vec![Line::AtOnce(Duration::from_millis(300)), Line::Press("0".into())];
    call
}

/// In each round one tenant is added, one is changed, and one is deleted. Each new caller tells by what lands in their contact
/// which tenant they spoke to; those who talk all the while notice nothing.
#[test]
fn twenty_calls_talk_while_tenants_of_the_store_are_added_changed_and_deleted_two_hundred_times() {
    let cluster = Cluster::shared();
    let url = cluster.database("tenants");
    let (mut node, connect) = start_on(&url);
    let key = MasterKeySource::File(node.folder.join("bellhop.key"));
    let (kept, by) = (KeptTenants::open(&url, key), operator());
    let patient = |n: usize| CallPlan {
        limit: Duration::from_secs(400),
        ..plan(&node, [Transport::Udp, Transport::Tcp][n % 2], "+18005550123", n)
    };
    let callers = Callers::place((0..CALLS).map(patient));
    node.wait_for("bellhop_call_setup_seconds_count", CALLS as f64);
    let threads = node.metric("process_threads");
    let changing = kept.furnish(&connect, "changing", "+18005560999", "round-none");
    let (mut script, mut before, mut guests) = (changing.assistant, None, vec![]);
    for n in 0..CHANGES {
        let number = format!("+1800556{n:04}");
        let guest = kept.furnish(&connect, &format!("guest-{n}"), &number, &format!("guest-{n}"));
        let newer = assistant(&format!("round-{n}"));
        script = kept.does(kept.store.change_document(&by, script.id, script.stamp.revision, newer, vec![]));
        let gone = before.replace(guest);
        gone.iter().for_each(|gone: &kept::Furnished| kept.delete(&gone.tenant));
        assert_eq!(kept.applied(), [], "round {n}");
        if n % 4 != 0 {
            continue;
        }
        for (contact, number) in [(format!("guest-{n}"), number.as_str()), (format!("round-{n}"), "+18005560999")] {
            guests.push((
                contact.clone(),
                Callers::place(std::iter::once(asks_for_an_agent(&node, &contact, number, n))),
            ));
        }
        if let Some(gone) = gone {
            let refused = calls(&node, &gone.number.entry.number.e164());
            assert_eq!(refused, Ended::Refused(403), "the number of round {} is nobody's", n - 1);
        }
        let began = format!("bellhop_calls_offered_total{{tenant=\"guest-{n}\"}}");
        while node.metric(&began).is_nan() || node.metric(&began) < 1.0 {
            std::thread::yield_now();
        }
    }
    for (contact, callers) in guests {
        let ended = callers.reports().remove(0).ended;
        assert!(matches!(ended, Ended::ByGateway(_)), "{contact}: {ended:?}");
        assert_eq!(node.connect.attributes(&contact).remove("topic"), Some(contact), "what the call began with");
    }
    assert_eq!(node.metric("bellhop_calls_active{tenant=\"acme\"}"), CALLS as f64, "nobody was hung up on");
    assert_eq!(node.metric("bellhop_calls_hung_total"), 0.0);
    let now = node.metric("process_threads");
    assert!(now <= threads + 8.0, "threads: {threads} before, {now} after");
    kill(Pid::from_raw(node.process.id() as i32), Signal::SIGTERM).expect("the process is there");
    for report in callers.reports() {
        assert_eq!(report.ended, Ended::ByGateway("SIP;cause=503;text=\"node draining\"".into()));
        assert!(report.longest_gap < PAUSE, "a pause of {:?}", report.longest_gap);
    }
    assert!(node.process.wait().expect("it ends").success());
}

/// The database is gone for a minute while callers of a tenant of its talk, come, and are handed over.
#[test]
fn a_database_that_is_away_for_a_minute_costs_no_call_no_hand_off_and_no_record() {
    let cluster = Cluster::own("tenants-away");
    let url = cluster.database("tenants");
    let (mut node, connect) = start_on(&url);
    let kept = KeptTenants::open(&url, MasterKeySource::File(node.folder.join("bellhop.key")));
    let guest = kept.furnish(&connect, "guest", GUEST, "before");
    assert_eq!(kept.applied(), []);
    let client = Client::operator(&node);
    let patient = |n: usize| CallPlan {
        limit: Duration::from_secs(400),
        ..plan(&node, [Transport::Udp, Transport::Tcp][n % 2], GUEST, n)
    };
    let callers = Callers::place((0..CALLS).map(patient));
    node.wait_for("bellhop_call_setup_seconds_count", CALLS as f64);
    let mut keys = vec![is_handed_over(&node, "before", "before")];
    cluster.stop();
    let limit = Instant::now() + AWAY;
    while Instant::now() < limit {
        keys.push(is_handed_over(&node, &format!("away-{}", keys.len()), "before"));
        assert_eq!(client.get("/tenants").status, 503, "nobody can be known");
        let ready = node.get("/readyz");
        assert!(ready.starts_with("HTTP/1.1 200") && ready.contains("degraded"), "{ready}");
        assert!(shows(&node, &keys[0]), "what was stored a moment before");
    }
    assert_eq!(calls(&node, "+18005560002"), Ended::Refused(403), "a number of nobody is that still");
    cluster.start();
    until("all is replayed", || !node.get("/readyz").contains("degraded"));
    assert_eq!((node.metric("bellhop_database_away"), node.metric("bellhop_spool_entries")), (0.0, 0.0));
    let path = format!("/assistants/{}", guest.assistant.id);
    let script = node::SCRIPT.replace("topic: loan", "topic: after");
    let settings = serde_json::json!({"settings": {"script_text": script}});
    assert_eq!(client.patches(&path, settings).status, 200);
    client.waits_for(&guest.integration.id.to_string());
    keys.push(is_handed_over(&node, "after", "after"));
    keys.iter().for_each(|key| assert!(shows(&node, key), "{key}"));
    assert_eq!(node.metric("bellhop_calls_active{tenant=\"guest\"}"), CALLS as f64, "nobody was hung up on");
    assert_eq!(node.metric("bellhop_calls_hung_total"), 0.0);
    kill(Pid::from_raw(node.process.id() as i32), Signal::SIGTERM).expect("the process is there");
    for report in callers.reports() {
        assert_eq!(report.ended, Ended::ByGateway("SIP;cause=503;text=\"node draining\"".into()));
        assert!(report.longest_gap < PAUSE, "a pause of {:?}", report.longest_gap);
    }
    assert!(node.process.wait().expect("it ends").success());
    let (database, all) = (url.rsplit('/').next().expect("a name"), keys.len());
    for (what, of, rows) in [
        ("count(*)", "session_histories", all),
        ("count(*)", "call_records", all + CALLS),
        ("count(DISTINCT call)", "call_records", all + CALLS),
        ("sum(calls)", "usage_days WHERE tenant = 'guest'", all + CALLS),
        ("count(*)", "calls_under_way", 0),
        ("count(*)", "writes_in_flight", 0),
    ] {
        assert_eq!(cluster.psql(database, &format!("SELECT {what} FROM {of}")), rows.to_string(), "{what} {of}");
    }
}

/// A caller of the guest's asks for an agent, who reads what was said; the key of that.
fn is_handed_over(node: &Node, contact: &str, topic: &str) -> String {
    let call = asks_for_an_agent(node, contact, GUEST, 7);
    let ended = Callers::place(std::iter::once(call)).reports().remove(0).ended;
    let mut told = node.connect.attributes(contact);
    assert_eq!(told.remove("topic").as_deref(), Some(topic), "{contact}: {ended:?}");
    let key = told.remove("SessionHistoryKey").expect("a key");
    assert!(shows(node, &key), "{contact}");
    key
}

fn shows(node: &Node, key: &str) -> bool {
    node.get(&format!("/loadAgentAppFrame.html?session_history_key={key}")).starts_with("HTTP/1.1 200")
}

#[test]
fn what_cannot_be_served_is_not_applied_and_says_why_while_the_old_serves() {
    let (node, connect) = start();
    let kept = KeptTenants::of(&node);
    let (by, store) = (operator(), &kept.store);
    let acme = kept.furnish(&connect, "acme", "+18005550200", "other");
    let why = kept.applied();
    assert_eq!(why.len(), 1);
    assert_eq!((why[0].integration, why[0].why.len()), (acme.integration.id, 1));
    assert!(why[0].why[0].contains("the configuration's file has a tenant `acme` too"), "{why:?}");
    assert_eq!(calls(&node, "+18005550200"), Ended::Refused(403));

    let guest = kept.furnish(&connect, "guest", "+18005550201", "first");
    kept.delete(&acme.tenant);
    assert_eq!(kept.applied(), []);
    assert_eq!(calls(&node, "+18005550201"), Ended::ByCaller);
    let bad =
        kept::document_of(KeptKind::Assistant, "script", r#"{"kind": "scripted", "script_text": "start: nowhere"}"#);
    let (id, revision) = (guest.assistant.id, guest.assistant.stamp.revision);
    let script = kept.does(store.change_document(&by, id, revision, bad, vec![]));
    let why = kept.applied();
    assert!(why.len() == 1 && why[0].why[0].starts_with("assistant `script`: script_text"), "{why:?}");
    assert_eq!(calls(&node, "+18005550201"), Ended::ByCaller, "as it was before");
    kept.does(store.change_document(&by, id, script.stamp.revision, assistant("mended"), vec![]));
    assert_eq!(kept.applied(), []);

    let state = |state| TenantChange { state: Some(state), ..TenantChange::default() };
    let tenant = &guest.tenant;
    let tenant = kept.does(store.change_tenant(&by, tenant.id, tenant.stamp.revision, state(TenantState::Suspended)));
    kept.applied();
    assert_eq!(calls(&node, "+18005550201"), Ended::Refused(403), "suspended");
    let plan = TenantChange { plan: Some("trial".into()), ..state(TenantState::Active) };
    let tenant = kept.does(store.change_tenant(&by, tenant.id, tenant.stamp.revision, plan));
    let why = kept.applied();
    assert!(why.len() == 1 && why[0].why[0].contains("the plan `trial` has no contact center"), "{why:?}");
    let plan = TenantChange { plan: Some("plus".into()), ..TenantChange::default() };
    kept.does(store.change_tenant(&by, tenant.id, tenant.stamp.revision, plan));
    assert_eq!(kept.applied(), []);
    assert_eq!(calls(&node, "+18005550201"), Ended::ByCaller);
    assert_eq!(node.metric("bellhop_tenant_calls_limit{tenant=\"guest\"}"), 100.0);
}

/// A number that two tenants have is its claimants' by instance; confirmed it is one's for calls that name none.
#[test]
fn a_number_is_told_apart_by_instance_and_by_the_operators_word() {
    let (node, connect) = start();
    let kept = KeptTenants::of(&node);
    let (by, store) = (operator(), &kept.store);
    kept.furnish(&connect, "one", "+18005550300", "one");
    assert_eq!(kept.applied(), []);
    assert_eq!(calls(&node, "+18005550300"), Ended::ByCaller, "the only one who has it");
    let two = kept.furnish_elsewhere(&connect, "two", "+18005550300", "two");
    assert_eq!(kept.applied(), []);
    assert_eq!(calls(&node, "+18005550300"), Ended::Refused(403), "it names no instance, and may be anybody's");
    let confirmed = kept.does(store.confirm_number(&by, two.number.id, two.number.stamp.revision, true));
    assert_eq!(kept.applied(), []);
    assert_eq!(calls(&node, "+18005550300"), Ended::ByCaller, "now it is two's");
    kept.does(store.delete_number(&by, confirmed.id, confirmed.stamp.revision));
    assert_eq!(kept.applied(), []);
    assert_eq!(calls(&node, "+18005550300"), Ended::ByCaller, "one's alone again");
}
