//! A command that wraps and unwraps data keys, for a key that a key management service keeps.
//!
//! It is started with `wrap` or `unwrap` as its last argument, reads one line of base64, and writes one. Invariant: it has
//! [`COMMAND_MAX`], then it is killed; no more than [`ANSWER_MAX`] bytes of it are read; what it writes to standard error goes nowhere,
//! since it may quote what it was given.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use zeroize::Zeroizing;

/// The longest that a command may take.
const COMMAND_MAX: Duration = Duration::from_secs(5);
/// The longest answer, in bytes: those of key management services are a few hundred.
const ANSWER_MAX: u64 = 8 << 10;

/// A program with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyCommand {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<String>,
}

/// What it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Wrap,
    Unwrap,
}

/// Why a command did not wrap or unwrap.
#[derive(Debug, thiserror::Error)]
#[error("the command `{program}` of the master key {why}")]
pub struct CommandFailed {
    program: String,
    why: Failing,
}

#[derive(Debug, thiserror::Error)]
enum Failing {
    #[error("cannot be started: {0}")]
    NotStarted(std::io::Error),
    #[error("broke off: {0}")]
    BrokeOff(std::io::Error),
    #[error("did not answer within {} s, and was killed", COMMAND_MAX.as_secs())]
    Overdue,
    #[error("ended with {0}")]
    Ended(std::process::ExitStatus),
    #[error("answered something else than one line of at most {ANSWER_MAX} bytes")]
    NoAnswer,
}

impl KeyCommand {
    /// Gives it a line, and takes the line that it answers.
    pub(super) async fn ask(&self, order: Order, line: &str) -> Result<Zeroizing<String>, CommandFailed> {
        let answer = tokio::time::timeout(COMMAND_MAX, self.run(order, line)).await.unwrap_or(Err(Failing::Overdue));
        answer.map_err(|why| CommandFailed { program: self.program.display().to_string(), why })
    }

    /// Dropped half-way, it kills what it started.
    async fn run(&self, order: Order, line: &str) -> Result<Zeroizing<String>, Failing> {
        let word = match order {
            Order::Wrap => "wrap",
            Order::Unwrap => "unwrap",
        };
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).arg(word).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(Failing::NotStarted)?;
        let mut stdin = child.stdin.take().expect("it was asked for");
        let mut stdout = child.stdout.take().expect("it was asked for").take(ANSWER_MAX + 1);
        let given = Zeroizing::new(format!("{line}\n"));
        let mut answer = Zeroizing::new(Vec::with_capacity(ANSWER_MAX as usize + 1));
        let write = async {
            // One that ends without reading says why by its status.
            let _ = stdin.write_all(given.as_bytes()).await;
            drop(stdin);
        };
        let (read, ()) = tokio::join!(stdout.read_to_end(&mut answer), write);
        read.map_err(Failing::BrokeOff)?;
        if answer.len() as u64 > ANSWER_MAX {
            return Err(Failing::NoAnswer);
        }
        let status = child.wait().await.map_err(Failing::BrokeOff)?;
        if !status.success() {
            return Err(Failing::Ended(status));
        }
        let text = std::str::from_utf8(&answer).unwrap_or_default().trim();
        match text.is_empty() || text.contains(char::is_whitespace) {
            true => Err(Failing::NoAnswer),
            false => Ok(Zeroizing::new(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> KeyCommand {
        KeyCommand { program: "/bin/sh".into(), arguments: vec!["-c".into(), script.into(), "key".into()] }
    }

    async fn told(command: &KeyCommand) -> String {
        command.ask(Order::Wrap, "AA==").await.expect_err("fails").to_string()
    }

    #[tokio::test]
    async fn a_command_that_fails_is_told_without_what_it_was_given() {
        let absent = KeyCommand { program: "/nowhere/wrap".into(), arguments: vec![] };
        assert!(told(&absent).await.starts_with("the command `/nowhere/wrap` of the master key cannot be started"));
        assert!(told(&shell("exit 3")).await.ends_with("ended with exit status: 3"));
        assert!(told(&shell("yes")).await.ends_with("one line of at most 8192 bytes"), "without end");
        for answer in ["", "echo a b", "printf 'a\\nb\\n'"] {
            assert!(told(&shell(answer)).await.contains("something else than one line"), "{answer}");
        }
    }

    /// The clock is ahead of the child, which never ends by itself.
    #[tokio::test(start_paused = true)]
    async fn a_command_that_never_answers_is_killed() {
        assert!(told(&shell("exec sleep 1000")).await.ends_with("did not answer within 5 s, and was killed"));
    }
}
