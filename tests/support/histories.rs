//! Conversations put into the database of a node (SQLite), as calls of whatever tenant leave them there.

use std::process::Command;

use serde_json::{Value, json};

use crate::node::Node;

/// What a call leaves, of a tenant and perhaps one of its integrations.
pub(crate) fn record(integration: Option<&str>) -> Value {
    json!({
        "caller": "+12065550100", "dialled": "+18005550123", "began_unix_ms": 1_700_000_000_000_i64,
        "transcript": [
            {"at_ms": 1_000, "speaker": "assistant", "text": "Welcome to Acme Bank.", "interrupted": true},
            {"at_ms": 4_000, "speaker": "caller", "text": "I want a loan for a boat."},
            {"at_ms": 6_000, "speaker": "caller_keys", "text": "••••"},
            {"at_ms": 9_000, "speaker": "assistant", "text": "A boat? I connect you."},
            {"at_ms": 9_500, "speaker": "note", "text": "Wants a loan."},
        ],
        "reason": "Wants a loan.", "custom_data": {"topic": "loan"}, "language": "en-US", "time_zone": "Europe/London",
        "integration": integration, "call": "00000000000000c7",
    })
}

/// Puts one there, under a key, for so many reads.
pub(crate) fn put(node: &Node, key: &str, tenant: &str, record: &Value, reads: Option<u32>) {
    let sql = "INSERT INTO session_histories (filed_as, tenant, json, expires_unix, reads_left)
        VALUES (lower(hex(digest(?1))), ?2, ?3, unixepoch() + 3600, ?4)";
    run(node, sql, &json!([key, tenant, record.to_string(), reads]));
}

/// Does to one what its key names `?1` what nobody could do who only asks.
pub(crate) fn change(node: &Node, set: &str, key: &str) {
    run(node, &format!("UPDATE session_histories SET {set} WHERE filed_as = lower(hex(digest(?1)))"), &json!([key]));
}

fn run(node: &Node, sql: &str, arguments: &Value) {
    let program = "import hashlib, json, sqlite3, sys
c = sqlite3.connect(sys.argv[1], 20)
c.create_function('digest', 1, lambda key: hashlib.sha256(key.encode()).digest())
c.execute(sys.argv[2], json.loads(sys.argv[3]))
c.commit()";
    let mut python = Command::new("python3");
    python.args(["-c", program]).arg(node.folder.join("bellhop.db")).arg(sql).arg(arguments.to_string());
    assert!(python.status().expect("python3 runs").success(), "{sql}");
}
