//! The process stands still, as when a virtual machine is moved or snapshotted: a clock that jumped is no child that hung.

use std::time::Duration;

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

const CALLS: usize = 20;

fn send(node: &Node, signal: Signal) {
    kill(Pid::from_raw(node.process.id() as i32), signal).expect("the process is there");
}

fn stands_still(lasts: Duration) {
    let mut node = Node::start("counting", "");
    let callers = Callers::call(&node, CALLS);
    send(&node, Signal::SIGSTOP);
    std::thread::sleep(lasts);
    send(&node, Signal::SIGCONT);
    node.wait_for("bellhop_standstills_total", 1.0);
    // Longer than it takes to find a call hung.
    std::thread::sleep(Duration::from_secs(6));
    assert_eq!(node.metric("bellhop_calls_active{"), CALLS as f64, "all calls go on");
    assert_eq!(node.metric("bellhop_standstills_total"), 1.0, "told once");
    assert_eq!(node.metric("bellhop_calls_hung_total"), 0.0);
    send(&node, Signal::SIGTERM);
    for report in callers.reports() {
        assert_eq!(report.ended, Ended::ByGateway("SIP;cause=503;text=\"node draining\"".into()));
    }
    assert!(node.process.wait().expect("it ends").success());
}

/// The case "the process stands still for three seconds".
#[test]
fn three_seconds_of_standstill_end_no_call() {
    stands_still(Duration::from_secs(3));
}

#[test]
fn thirty_seconds_of_standstill_end_no_call() {
    stands_still(Duration::from_secs(30));
}
