//! `bellhop flow check`, on the real binary: what it prints and what its exit code says.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Checks a golden file.
fn check(golden: &str, more: &[&str]) -> Output {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/flows").join(golden);
    let mut command = Command::new(env!("CARGO_BIN_EXE_bellhop"));
    command.args(["flow", "check"]).arg(file).args(more).output().expect("it runs")
}

/// Checks what comes in.
fn check_text(text: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bellhop"));
    let command = command.args(["flow", "check", "-"]).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("it reads");
    child.wait_with_output().expect("it ends")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn our_own_exports_are_good() {
    for golden in ["handing_over_2019-10-30.json", "handing_over_legacy.json"] {
        let output = check(golden, &[]);
        assert!(output.status.success() && text(&output.stdout).ends_with("good: 12 blocks\n"), "{output:?}");
        assert!(output.stderr.is_empty(), "{output:?}");
    }
}

#[test]
fn every_problem_has_a_line_and_advice_is_none() {
    let output = check("vendor_sample_shape_legacy.json", &[]);
    let told = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    for line in [
        "problem [flow_caller_lost] block ",
        "(Transfer to phone number), ConnectionTimeLimitExceeded: leads to ",
        "problem [flow_real_time_analytics] ",
        "advice [flow_queue_full_unsaid] ",
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }
    assert!(text(&output.stderr).contains("problems: 5"), "{output:?}");
}

#[test]
fn what_comes_in_is_read_and_what_is_no_flow_is_told_by_its_place() {
    let golden = include_str!("golden/flows/handing_over_2019-10-30.json");
    assert!(check_text(golden).status.success());
    let advice =
        golden.replace("\"UserToUserInformation\": \"$.InstanceARN\"", "\"UserToUserInformation\": \"$.ContactId\"");
    let output = check_text(&advice);
    assert!(output.status.success() && text(&output.stdout).starts_with("advice [flow_user_to_user] "), "{output:?}");
    for (text_of_it, told) in [
        ("{\n", "-: the flow is not JSON: see line 2"),
        ("{}", "-: the flow is none: it has neither Actions nor modules"),
        (&"x".repeat(1024 * 1024 + 1), "-: the flow has more than 1048576 bytes"),
    ] {
        let output = check_text(text_of_it);
        assert!(output.status.code() == Some(1) && text(&output.stderr).contains(told), "{told}: {output:?}");
    }
    let nowhere =
        Command::new(env!("CARGO_BIN_EXE_bellhop")).args(["flow", "check", "/nowhere"]).output().expect("it runs");
    assert!(nowhere.status.code() == Some(1) && text(&nowhere.stderr).contains("cannot be read"), "{nowhere:?}");
}
