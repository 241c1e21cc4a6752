//! A refused call can be understood by whoever runs the server, and by nobody else.

use std::process::Command;

use bellhop_sip::hop::Transport;

#[path = "support/node.rs"]
#[allow(dead_code)] // what other tests need of it
mod node;

use node::Node;

#[test]
fn a_refused_call_is_told_with_its_source_its_call_id_and_the_reason() {
    let node = Node::start("counting", "");
    let calls = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_bellhop"))
            .args(["calls", "refused", "--config"])
            .arg(node.folder.join("bellhop.toml"))
            .args(arguments)
            .output()
            .expect("the binary runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(calls(&[]).contains("no call was refused"));
    node.sipp("unknown_number", Transport::Udp, "+18005550999", 1);
    let told = calls(&[]);
    assert!(told.contains("no tenant has the number that was dialled"), "{told}");
    assert!(told.contains("127.0.0.1:") && told.contains("UDP  403 ••••••••0999 of nobody"), "{told}");
    assert!(told.contains("Call-ID ") && !told.contains("8005550999"), "{told}");
    let json: serde_json::Value = serde_json::from_str(calls(&["--json"]).trim()).expect("a line of JSON");
    assert_eq!(json["status"], 403);
    let log = std::fs::read_to_string(node.folder.join("log")).expect("a log");
    let line = log.lines().find(|line| line.contains("call refused")).expect("a line of the log");
    assert!(line.contains("no tenant has the number") && line.contains("127.0.0.1:"), "{line}");
}
