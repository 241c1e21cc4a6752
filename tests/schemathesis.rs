//! REST against its own OpenAPI document, asked by Schemathesis: nothing fails, and nothing is answered that the document does not tell of.

use std::path::PathBuf;
use std::process::Command;

use serde_json::json;

#[path = "support/node.rs"]
#[allow(dead_code)] // what other tests need of it
mod node;
#[path = "support/rest.rs"]
#[allow(dead_code)] // each binary uses its part
mod rest;

use node::Node;
use rest::Client;

/// Where `make test` puts it.
fn schemathesis() -> PathBuf {
    let built = std::env::current_exe().expect("a test has a file");
    let target = built.ancestors().nth(3).expect("the folder that cargo builds into");
    let program = target.join("schemathesis/bin/schemathesis");
    assert!(program.exists(), "{} is not there: `make test` installs it", program.display());
    program
}

#[test]
fn every_role_gets_what_the_document_tells_and_nothing_breaks() {
    let node = Node::start("counting", "");
    let (operator, session) = Client::operator_and_session(&node);
    let tenant = operator.makes("/tenants", json!({"name": "tried", "plan": "plus"}));
    let token = |role: &str| {
        let body = json!({"name": role, "role": role, "tenant": tenant});
        let headers: Vec<(&str, &str)> = session.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let made = Client::new(node.http).ask("POST", "/tokens", &headers, body);
        made.body["token"].as_str().unwrap_or_else(|| panic!("{made:?}")).to_owned()
    };
    // Who may most comes last: what it finds it may delete.
    let tokens = [token("agent"), token("viewer"), token("admin"), operator.token().to_owned()];
    for (role, token) in ["agent", "viewer", "admin", "operator"].iter().zip(tokens) {
        let mut run = Command::new(schemathesis());
        run.arg("run").arg(format!("http://{}/api/v1/openapi.json", node.http));
        run.arg("--header").arg(format!("Authorization: Bearer {token}"));
        run.args([
            "--checks",
            "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
        ]);
        run.args([
            "--phases",
            "examples,coverage,fuzzing",
            "--seed",
            "12",
            "--max-examples",
            "10",
            "--rate-limit",
            "45/s",
            "--no-color",
        ]);
        let came = run.current_dir(&node.folder).output().expect("it runs");
        let told = String::from_utf8_lossy(&came.stdout).into_owned() + &String::from_utf8_lossy(&came.stderr);
        assert!(came.status.success(), "{role}: {told}");
        assert!(told.contains("generated"), "{role}: it asked nothing: {told}");
    }
    let log = std::fs::read_to_string(node.folder.join("log")).expect("a log");
    let ours = |line: &&str| line.contains("\"level\":\"ERROR\"") && line.contains("\"target\":\"bellhop");
    assert_eq!(log.lines().filter(ours).count(), 0, "{log}");
}
