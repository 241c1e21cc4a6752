//! Callers who call a node at once and wait to be hung up on.

use std::time::Duration;

use bellhop_rehearsal::caller::{self, CallPlan, CallReport, Conditions};
use bellhop_sip::hop::Transport;
use bellhop_sip::sdp::{Codec, Security};

use crate::node::Node;

/// Everybody who calls.
pub(crate) struct Callers(Vec<std::thread::JoinHandle<CallReport>>);

impl Callers {
    /// So many calls, half of them over UDP, half over TCP; returns once all are up.
    pub(crate) fn call(node: &Node, calls: usize) -> Self {
        let place = |n: usize| {
            let transport = if n.is_multiple_of(2) { Transport::Udp } else { Transport::Tcp };
            let plan = CallPlan {
                codecs: vec![Codec::Pcmu],
                security: Security::Off,
                certificate: None,
                server_name: "localhost".to_owned(),
                server: if transport == Transport::Udp { node.udp } else { node.tcp },
                transport,
                dialled: "+18005550123".into(),
                caller: format!("+1206555{n:04}"),
                headers: vec![],
                lines: vec![],
                conditions: Conditions::default(),
                limit: Duration::from_secs(100),
            };
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                runtime.block_on(caller::place(plan, |_, _| {})).expect("the call is placed")
            })
        };
        let this = Self((0..calls).map(place).collect());
        node.wait_for("bellhop_call_setup_seconds_count", calls as f64);
        this
    }

    /// How each of them ended.
    pub(crate) fn reports(self) -> Vec<CallReport> {
        self.0.into_iter().map(|caller| caller.join().expect("a report")).collect()
    }
}
