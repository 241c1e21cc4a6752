//! Callers who call a node at once and wait to be hung up on.

use std::time::Duration;

use bellhop_rehearsal::caller::{self, CallPlan, CallReport, Conditions};
use bellhop_sip::hop::Transport;
use bellhop_sip::sdp::{Codec, Security};

use crate::node::Node;

/// Everybody who calls.
pub(crate) struct Callers(Vec<std::thread::JoinHandle<CallReport>>);

/// A call in the clear, of a caller with a number of their own.
pub(crate) fn plan(node: &Node, transport: Transport, dialled: &str, caller: usize) -> CallPlan {
    CallPlan {
        codecs: vec![Codec::Pcmu],
        security: Security::Off,
        certificate: None,
        server_name: "localhost".to_owned(),
        server: if transport == Transport::Udp { node.udp } else { node.tcp },
        transport,
        dialled: dialled.to_owned(),
        caller: format!("+1206555{caller:04}"),
        headers: vec![],
        lines: vec![],
        conditions: Conditions::default(),
        limit: Duration::from_secs(100),
    }
}

impl Callers {
    /// So many calls, half of them over UDP, half over TCP; returns once all are up.
    pub(crate) fn call(node: &Node, calls: usize) -> Self {
        let transport = |n: usize| if n.is_multiple_of(2) { Transport::Udp } else { Transport::Tcp };
        let this = Self::place((0..calls).map(|n| plan(node, transport(n), "+18005550123", n)));
        node.wait_for("bellhop_call_setup_seconds_count", calls as f64);
        this
    }

    /// All of these at once.
    pub(crate) fn place(plans: impl Iterator<Item = CallPlan>) -> Self {
        let place = |plan: CallPlan| {
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                runtime.block_on(caller::place(plan, |_, _| {})).expect("the call is placed")
            })
        };
        Self(plans.map(place).collect())
    }

    /// How each of them ended.
    pub(crate) fn reports(self) -> Vec<CallReport> {
        self.0.into_iter().map(|caller| caller.join().expect("a report")).collect()
    }
}
