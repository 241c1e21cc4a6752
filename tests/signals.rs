//! Whatever signal ends the process, its calls are told goodbye; what need not end it does not.

use bellhop_rehearsal::caller::Ended;
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

fn send(node: &Node, signal: Signal) {
    kill(Pid::from_raw(node.process.id() as i32), signal).expect("the process is there");
}

/// Every caller was told goodbye, and the process ended well.
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
        for signal in [Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGUSR2, Signal::SIGPIPE] {
            send(&node, signal);
        }
        assert_eq!(node.metric("bellhop_calls_active{"), CALLS as f64, "TLS: {tls}");
        send(&node, Signal::SIGQUIT);
        all_told(&mut node, callers);
    }
}

#[test]
fn a_second_signal_while_draining_tells_every_caller_goodbye() {
    for (first, second) in [(Signal::SIGTERM, Signal::SIGTERM), (Signal::SIGINT, Signal::SIGINT)] {
        let mut node = Node::start("counting", "");
        let callers = Callers::call(&node, CALLS);
        send(&node, first);
        while node.get("/readyz").starts_with("HTTP/1.1 200") {
            std::thread::yield_now();
        }
        assert_eq!(node.metric("bellhop_calls_active{"), CALLS as f64, "they may finish");
        send(&node, second);
        all_told(&mut node, callers);
    }
}
