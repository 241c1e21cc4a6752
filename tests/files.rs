//! The files that an operator names: pipes, folders, certificates and keys. What is wrong with one is a sentence with its key
//! and its name, from `check` and from `serve` alike.

use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use bellhop_rehearsal::caller::{Ended, Line};
use bellhop_sip::hop::Transport;
use bellhop_sip::sdp::{Codec, Security};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};

#[allow(dead_code)] // each test binary uses its own part of the node
#[path = "support/node.rs"]
mod node;

use node::{Node, config, folder};

const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9);

fn bellhop(arguments: &[&str], at: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bellhop"));
    command.args(arguments).current_dir(at).stdin(Stdio::null());
    command
}

fn told(output: &Output) -> Vec<String> {
    String::from_utf8_lossy(&output.stderr).lines().map(str::to_owned).collect()
}

/// What `check` and `serve` say of a file that they refuse: the same, once.
fn refused(at: &Path) -> String {
    let [check, serve] = ["check", "serve"].map(|command| {
        let output = bellhop(&[command, "--config", "bellhop.toml"], at).output().expect("the binary runs");
        assert!(!output.status.success(), "{command} should fail: {output:?}");
        told(&output)
    });
    assert_eq!(check, serve);
    assert_eq!((check.len(), check[1].as_str()), (2, "bellhop: mistakes: 1; nothing was started"), "{check:#?}");
    check[0].clone()
}

#[test]
fn an_answer_that_cannot_be_written_is_no_success_and_a_reader_that_went_is_none_of_ours() {
    let folder = folder();
    config(&folder, NOWHERE, "counting", "");
    std::fs::write(folder.join("bellhop.db"), "").expect("written");
    for arguments in [
        &["check", "--config", "bellhop.toml"][..],
        &["calls", "list", "--config", "bellhop.toml"],
        &["--help"],
        &["--version"],
    ] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
        let output = bellhop(arguments, &folder).stdout(full).output().expect("the binary runs");
        let told = told(&output);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(
            told.len() == 1 && told[0].starts_with("bellhop: standard output cannot be written: No space left"),
            "{arguments:?}: {told:#?}"
        );
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = bellhop(arguments, &folder).stdout(writer).output().expect("the binary runs");
        assert!(output.status.success() && output.stderr.is_empty(), "{arguments:?}: {output:?}");
    }
    let _ = std::fs::remove_dir_all(folder);
}

/// A pipe is read as long as somebody writes to it, and nobody is waited for without end.
#[test]
fn a_pipe_without_a_writer_is_told_and_one_with_a_writer_is_read() {
    let folder = folder();
    let path = config(&folder, NOWHERE, "counting", "");
    let text = std::fs::read_to_string(&path).expect("written");
    mkfifo(&folder.join("pipe"), Mode::S_IRWXU).expect("a pipe");
    let of = |name: &str, change: (&str, &str)| {
        assert!(text.contains(change.0));
        std::fs::write(folder.join(name), text.replace(change.0, change.1)).expect("written");
    };
    of("script.toml", ("\"script.yaml\"", "\"pipe\""));
    of("secret.toml", ("\"secret\"", "\"file:pipe\""));
    of("key.toml", ("\"key.pem\"", "\"pipe\""));
    let asked = Instant::now();
    let waiting: Vec<_> = ["pipe", "script.toml", "secret.toml", "key.toml"]
        .into_iter()
        .map(|name| {
            let mut check = bellhop(&["check", "--config", name], &folder);
            (name, check.stderr(Stdio::piped()).spawn().expect("the binary runs"))
        })
        .collect();
    for (name, mut process) in waiting {
        while process.try_wait().expect("ours").is_none() && asked.elapsed() < Duration::from_secs(40) {
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = process.kill(); // one that hangs is told below
        let output = process.wait_with_output().expect("ours");
        let told = told(&output);
        assert!(
            told.first().is_some_and(|line| line.contains("is a pipe or a device, and nobody wrote")),
            "{name}: {told:#?}"
        );
    }
    // Process substitution, where the writer takes its time.
    let written = "sleep 1; cat bellhop.toml";
    let command = format!("{} check --config <({written})", env!("CARGO_BIN_EXE_bellhop"));
    std::fs::write(
        folder.join("bellhop.toml"),
        text.replace("script.yaml", &folder.join("script.yaml").display().to_string()),
    )
    .expect("written");
    let text = std::fs::read_to_string(folder.join("bellhop.toml")).expect("written");
    let absolute = ["certificate.pem", "key.pem"]
        .iter()
        .fold(text, |text, name| text.replace(&format!("\"{name}\""), &format!("\"{}\"", folder.join(name).display())));
    std::fs::write(folder.join("bellhop.toml"), absolute).expect("written");
    let output = Command::new("bash").args(["-c", &command]).current_dir(&folder).output().expect("bash");
    assert!(output.status.success(), "{output:?}");
    let _ = std::fs::remove_dir_all(folder);
}

#[test]
fn a_folder_of_recordings_that_cannot_be_made_is_named() {
    let folder = folder();
    // Nobody can make anything there, and only some are told so beforehand.
    let recording = "[tenants.recording]\nfolder = \"/proc/bellhop/recordings\"\n";
    config(&folder, NOWHERE, "counting", recording);
    let output = bellhop(&["serve", "--config", "bellhop.toml"], &folder).output().expect("the binary runs");
    let told = told(&output);
    assert!(
        !output.status.success() && told[0].contains("tenants.acme.recording.folder: the folder /proc"),
        "{told:#?}"
    );
    let _ = std::fs::remove_dir_all(folder);
}

/// A certificate that is valid between these years, with its key.
fn identity(years: std::ops::Range<i32>) -> (String, String) {
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    parameters.not_before = rcgen::date_time_ymd(years.start, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(years.end, 1, 1);
    (parameters.self_signed(&key).expect("a certificate").pem(), key.serialize_pem())
}

#[test]
fn what_is_wrong_with_a_certificate_or_a_key_is_told_with_its_name() {
    let folder = folder();
    let path = config(&folder, NOWHERE, "counting", "");
    let good = std::fs::read_to_string(&path).expect("written");
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).expect("written");
    let (certificate, other_key) = identity(2020..2099);
    let passphrase =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIFHDBOBgkqhkiG9w0BBQ0w\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let of_old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,D2\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    let damaged = format!("{certificate}-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n");
    let none = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (name, text) in [
        ("empty.pem", ""),
        ("other-key.pem", &other_key),
        ("passphrase.pem", passphrase),
        ("of-old.pem", of_old),
        ("damaged.pem", &damaged),
        ("none.pem", none),
    ] {
        write(name, text);
    }
    for (certificate, key, client_ca, at, why) in [
        (
            "certificate.pem",
            "other-key.pem",
            "",
            "key",
            "the key in other-key.pem does not belong to the certificate in certificate.pem",
        ),
        ("empty.pem", "key.pem", "", "certificate", "the file empty.pem holds no certificate in PEM"),
        ("key.pem", "key.pem", "", "certificate", "the file key.pem holds no certificate in PEM"),
        ("damaged.pem", "key.pem", "", "certificate", "the file damaged.pem holds a certificate that is damaged"),
        ("none.pem", "key.pem", "", "certificate", "the file none.pem holds a certificate that is damaged"),
        ("certificate.pem", "empty.pem", "", "key", "the file empty.pem holds no private key in PEM"),
        ("certificate.pem", "passphrase.pem", "", "key", "the key in passphrase.pem is under a passphrase"),
        ("certificate.pem", "of-old.pem", "", "key", "the key in of-old.pem is under a passphrase"),
        (
            "certificate.pem",
            "key.pem",
            "empty.pem",
            "client_ca",
            "the file empty.pem holds no usable certificate in PEM",
        ),
        ("certificate.pem", "key.pem", "none.pem", "client_ca", "the file none.pem holds no usable certificate in PEM"),
        ("missing.pem", "key.pem", "", "certificate", "the file missing.pem is not there"),
        (".", "key.pem", "", "certificate", "the file . is a folder where a file is expected"),
    ] {
        let client_ca = if client_ca.is_empty() { String::new() } else { format!("\nclient_ca = \"{client_ca}\"") };
        let text = good
            .replace("certificate = \"certificate.pem\"", &format!("certificate = \"{certificate}\""))
            .replace("key = \"key.pem\"", &format!("key = \"{key}\"{client_ca}"));
        write("bellhop.toml", &text);
        let told = refused(&folder);
        let expected = [format!("sip.tls.{at}: {why}"), format!("sip.tls.{at}: ./{why}")];
        assert!(expected.iter().any(|expected| told.contains(expected)), "{expected:?} in {told}");
    }
    // What serves, and will not be believed.
    write("bellhop.toml", &good);
    for (years, why) in [(2019..2021, "expired at 2021-01-01 00:00:00 UTC"), (2090..2099, "is valid from 2090-01-01")] {
        let (certificate, key) = identity(years);
        write("certificate.pem", &certificate);
        write("key.pem", &key);
        std::fs::set_permissions(folder.join("key.pem"), std::fs::Permissions::from_mode(0o644)).expect("ours");
        let output = bellhop(&["check", "--config", "bellhop.toml"], &folder).output().expect("the binary runs");
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success() && shown.contains(&format!("warning: sip.tls.certificate: certificate.pem {why}")),
            "{shown}"
        );
        assert!(shown.contains("warning: sip.tls.key: everybody on this machine may read key.pem"), "{shown}");
        std::fs::set_permissions(folder.join("key.pem"), std::fs::Permissions::from_mode(0o640)).expect("ours");
        let output = bellhop(&["check", "--config", "bellhop.toml"], &folder).output().expect("the binary runs");
        assert!(!String::from_utf8_lossy(&output.stdout).contains("everybody"), "a group may be meant");
    }
    let _ = std::fs::remove_dir_all(folder);
}

/// Files that are there, and not for the user that the server runs as.
#[test]
fn a_file_that_may_not_be_read_is_told() {
    let folder = folder();
    let path = config(&folder, NOWHERE, "counting", "");
    let text = std::fs::read_to_string(&path).expect("written");
    std::fs::write(folder.join("secret"), "secret").expect("written");
    std::fs::write(&path, text.replace("\"secret\"", "\"file:secret\"")).expect("written");
    let closed = |name: &str, mode| {
        std::fs::set_permissions(folder.join(name), std::fs::Permissions::from_mode(mode)).expect("ours");
    };
    closed("", 0o777);
    for (name, place) in [
        ("bellhop.toml", "bellhop.toml: the file "),
        ("script.yaml", "tenants.acme.assistant.script: the file script.yaml "),
        ("secret", "tenants.acme.connect.secret_access_key: `file:secret` "),
        ("key.pem", "sip.tls.key: the file key.pem "),
    ] {
        let before = std::fs::metadata(folder.join(name)).expect("there").permissions().mode();
        closed(name, 0o000);
        // Nothing is closed to root: somebody else asks then. The binary may lie where nobody else may go.
        let mut check = if std::fs::metadata(&folder).expect("there").uid() == 0 {
            let here = folder.join("bellhop");
            let _ = std::fs::copy(env!("CARGO_BIN_EXE_bellhop"), &here);
            let mut check = Command::new("setpriv");
            check.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(here).current_dir(&folder);
            check.args(["check", "--config", "bellhop.toml"]);
            check
        } else {
            bellhop(&["check", "--config", "bellhop.toml"], &folder)
        };
        let output = check.output().expect("the binary runs");
        let told = told(&output);
        let expected = format!("{place}may not be read by the user that this runs as");
        assert!(told.first().is_some_and(|line| line.contains(&expected)), "{expected} in {told:#?}");
        assert_eq!(told.len(), 2, "{told:#?}");
        closed(name, before & 0o777 | 0o004);
    }
    let _ = std::fs::remove_dir_all(folder);
}

#[test]
fn a_bad_identity_on_sighup_is_told_and_the_one_before_goes_on() {
    let node = Node::start("counting", "");
    let (expired, expired_key) = identity(2019..2021);
    let good = std::fs::read(node.folder.join("certificate.pem")).expect("written");
    let good_key = std::fs::read(node.folder.join("key.pem")).expect("written");
    for (certificate, key, why) in [
        (good.clone(), expired_key.clone().into_bytes(), "does not belong to the certificate"),
        (good.clone(), vec![], "holds no private key in PEM"),
        (vec![], good_key.clone(), "holds no certificate in PEM"),
        (expired.into_bytes(), expired_key.into_bytes(), "expired at 2021-01-01"),
    ] {
        std::fs::write(node.folder.join("certificate.pem"), certificate).expect("written");
        std::fs::write(node.folder.join("key.pem"), key).expect("written");
        kill(Pid::from_raw(node.process.id() as i32), Signal::SIGHUP).expect("it is there");
        let deadline = Instant::now() + Duration::from_secs(30);
        let is_told = |line: &str| line.contains("the one before goes on") && line.contains(why);
        while !std::fs::read_to_string(node.folder.join("log")).unwrap_or_default().lines().any(is_told) {
            assert!(Instant::now() < deadline, "{why} was never told");
            std::thread::yield_now();
        }
    }
    // What the caller believes is the one before.
    std::fs::write(node.folder.join("certificate.pem"), good).expect("written");
    let lines = vec![Line::AtOnce(Duration::from_millis(300)), Line::Press("9".into())];
    let (report, _) = node.call_with(Transport::Tls, &[Codec::Pcmu], Security::Off, "c1", lines);
    assert!(matches!(report.ended, Ended::ByGateway(_)), "{:?}", report.ended);
}
