//! Whatever signal ends the process, its calls are sent a BYE; what need not end it does not.

use std::time::{Duration, Instant};

use bellhop_rehearsal::caller::{Ended, Line};
use bellhop_sip::hop::Transport;
use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

#[path = "support/callers.rs"]
mod callers;
#[path = "support/node.rs"]
#[allow(dead_code)] // what other tests need of it
mod node;

use callers::Callers;
use node::Node;

const CALLS: usize = 4;

/// Whether the flow finds no key in a contact's attributes. That the caller's session had ended (`hangup`) is none.
fn no_key(node: &Node, contact: &str) -> bool {
    let written = node.connect.attributes(contact).remove("SessionHistoryKey").unwrap_or_default();
    written.is_empty() || written == "hangup"
}

fn send(node: &Node, signal: Signal) {
    kill(Pid::from_raw(node.process.id() as i32), signal).expect("the process is there");
}

/// every call was sent a BYE, and the process ended well.
fn all_told(node: &mut Node, callers: Callers) {
    for report in callers.reports() {
        assert_eq!(report.ended, Ended::ByGateway("SIP;cause=503;text=\"node draining\"".into()));
    }
    assert!(node.process.wait().expect("it ends").success());
}

#[test]
fn signals_that_ask_for_nothing_end_nothing_with_tls_or_without() {
    for tls in [true, false] {
        let mut node = if tls { Node::start("counting", "") } else { Node::start_without_tls("counting") };
        let callers = Callers::call(&node, CALLS);
        use Signal::{
            SIGALRM, SIGHUP, SIGIO, SIGPIPE, SIGPROF, SIGSTKFLT, SIGUSR1, SIGUSR2, SIGVTALRM, SIGXCPU, SIGXFSZ,
        };
        for signal in
            [SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE, SIGALRM, SIGVTALRM, SIGPROF, SIGIO, SIGSTKFLT, SIGXCPU, SIGXFSZ]
        {
            send(&node, signal);
        }
        for real_time in [libc::SIGRTMIN(), libc::SIGRTMAX()] {
            // Of no name, and so not of nix.
            let pid = node.process.id().to_string();
            let sent = std::process::Command::new("kill").args([format!("-{real_time}"), pid]).status();
            assert!(sent.expect("kill runs").success());
        }
        assert_eq!(node.metric("bellhop_calls_active{"), CALLS as f64, "TLS: {tls}");
        send(&node, Signal::SIGQUIT);
        all_told(&mut node, callers);
    }
}

#[test]
fn a_second_signal_while_draining_sends_every_call_a_bye() {
    for (first, second) in [(Signal::SIGTERM, Signal::SIGTERM), (Signal::SIGINT, Signal::SIGINT)] {
        let (connect, at) = node::stand_in();
        let folder = node::folder();
        let path = node::config(&folder, at, "counting", "");
        let patient = std::fs::read_to_string(&path).expect("written");
        // A drain alone would say the same in the end.
        let patient = patient.replace("drain_seconds = 5", "drain_seconds = 60");
        std::fs::write(&path, patient).expect("written");
        let mut node = Node::serve(&path, folder, connect);
        let callers = Callers::call(&node, CALLS);
        let asked = Instant::now();
        send(&node, first);
        while node.get("/readyz").starts_with("HTTP/1.1 200") {
            std::thread::yield_now();
        }
        assert_eq!(node.metric("bellhop_calls_active{"), CALLS as f64, "they may finish");
        send(&node, second);
        all_told(&mut node, callers);
        assert!(asked.elapsed() < Duration::from_secs(30), "nobody waits for the drain");
    }
}

/// A disk that is full of logs, a pager that was left: the log's lines are lost, and no call is.
#[test]
fn a_log_that_cannot_be_written_costs_nobody_his_call() {
    let mut node = Node::start_without_a_reader_of_its_log("counting");
    let callers = Callers::call(&node, CALLS);
    send(&node, Signal::SIGUSR1); // it is told in the log
    assert_eq!(node.metric("bellhop_calls_active{"), CALLS as f64);
    send(&node, Signal::SIGTERM);
    all_told(&mut node, callers);
}

/// The thread of the endpoint and of Reception blocks: no signal is heard, and nobody carries out a teardown. The
/// watchdog does, by sockets of its own.
#[test]
fn a_main_thread_that_is_stuck_for_good_costs_no_call_its_bye() {
    let injected = "[fault_injection]\nchild = \"call\"\nphase = \"quiescing\"\nfault = \"block_reception\"\n";
    let mut node = Node::start("counting", injected);
    let callers = Callers::call(&node, CALLS);
    let lines = vec![Line::AtOnce(Duration::from_millis(300)), Line::Press("9".into())];
    let (report, _) = node.call(Transport::Udp, "c1", lines);
    let told = Ended::ByGateway("SIP;cause=503;text=\"node draining\"".into());
    assert_eq!(report.ended, told);
    for report in callers.reports() {
        assert_eq!(report.ended, told);
    }
    assert!(no_key(&node, "c1"));
    assert!(!node.process.wait().expect("it ends").success(), "whoever runs it starts it again");
}

/// What carries out every teardown dies, or what orders them: every call is sent a BYE all the same, and no key is left
/// but one that had been committed, with its conversation.
#[test]
fn the_death_of_the_endpoint_or_of_reception_sends_every_call_a_bye() {
    for fault in ["kill_endpoint", "kill_reception"] {
        for (phase, key) in [("quiescing", "9"), ("committing", "0")] {
            let injected = format!("[fault_injection]\nchild = \"call\"\nphase = \"{phase}\"\nfault = \"{fault}\"\n");
            let mut node = Node::start("counting", &injected);
            let callers = Callers::call(&node, CALLS);
            // Nobody comes into this phase before.
            let lines = vec![Line::AtOnce(Duration::from_millis(300)), Line::Press(key.into())];
            let (report, _) = node.call(Transport::Tcp, "c1", lines);
            let told = Ended::ByGateway("SIP;cause=503;text=\"node draining\"".into());
            assert_eq!(report.ended, told, "{fault} while {phase}");
            for report in callers.reports() {
                assert_eq!(report.ended, told, "{fault} while {phase}");
            }
            assert!(!node.process.wait().expect("it ends").success(), "whoever runs it starts it again");
            assert!(phase == "committing" || no_key(&node, "c1"), "{fault} while {phase}");
            // The commit may have come through before anybody noticed the death.
            if !no_key(&node, "c1") {
                let key = node.connect.attributes("c1")["SessionHistoryKey"].clone();
                let path = node.folder.join("bellhop.toml");
                let quiet = std::fs::read_to_string(&path).expect("written").replace(&injected, "");
                std::fs::write(&path, quiet).expect("written");
                let next = Node::serve(&path, node.folder.clone(), node::stand_in().0);
                let page = next.get(&format!("/loadAgentAppFrame.html?session_history_key={key}"));
                assert!(page.starts_with("HTTP/1.1 200"), "{fault} while {phase}: {page}");
            }
        }
    }
}
