//! The server with a tenant for every vocabulary and kind of answer.
//!
//! Invariant: a tenant's number ends in its position among all.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use bellhop_bench::Process;

use crate::recordings;
use crate::utterances::phrases;

/// Sentences said in one call, and expected by most tenants.
pub(crate) const A_CALL: usize = 10;
/// What a caller hears at first when they are to interrupt: about eight seconds.
const LONG_GREETING: &str = "Welcome to Acme. Our menu has changed, so please listen carefully to all of the following \
    options before you tell us what you would like to do today.";
/// Whoever was not heard is answered after so long, and says their next sentence: later than any wait that counts.
const SILENCE_MILLISECONDS: u32 = 10_000;

/// What a caller hears after each sentence.
#[derive(Clone, Copy, PartialEq)]
enum Answer {
    /// Always the same, which the server keeps.
    Okay,
    /// Another one each time, of eight words, which the server is told not to keep.
    Another,
}

struct Tenant {
    name: String,
    greeting: &'static str,
    expected: Vec<&'static str>,
    answer: Answer,
}

fn tenants() -> Vec<Tenant> {
    let tenant = |name: String, expected: Vec<&'static str>, answer| Tenant {
        name,
        greeting: "How can I help?",
        expected,
        answer,
    };
    let tens = |kind: &'static str, texts: Vec<&'static str>, answer| -> Vec<Tenant> {
        texts.chunks(A_CALL).enumerate().map(|(n, ten)| tenant(format!("{kind}-{n}"), ten.to_vec(), answer)).collect()
    };
    let mut all = tens("ten", phrases(), Answer::Okay);
    all.extend(tens("human", recordings::texts(), Answer::Okay));
    all.extend(tens("uncached", phrases(), Answer::Another));
    all.push(tenant("all".to_owned(), phrases(), Answer::Okay));
    all.push(tenant("open".to_owned(), vec![], Answer::Okay));
    all.push(Tenant { greeting: LONG_GREETING, ..tenant("interrupted".to_owned(), phrases(), Answer::Okay) });
    all
}

fn number_at(position: usize) -> String {
    format!("+1800555{position:04}")
}

/// Whom callers dial who want that tenant.
pub(crate) fn number(name: &str) -> Result<String> {
    let position = tenants().iter().position(|tenant| tenant.name == name);
    position.map(number_at).with_context(|| format!("there is no tenant {name}"))
}

/// Eight words that no other step of any tenant says.
fn eight_words(n: usize) -> String {
    const WHAT: [&str; 6] = ["parcel", "invoice", "ticket", "booking", "refund", "contract"];
    const DOES: [&str; 5] = ["arrives", "changes", "begins", "closes", "returns"];
    const DAY: [&str; 5] = ["Monday", "Tuesday", "Thursday", "Friday", "Sunday"];
    const WHERE: [&str; 4] = ["London", "Boston", "Denver", "Paris"];
    let (what, n) = (WHAT[n % WHAT.len()], n / WHAT.len());
    let (does, n) = (DOES[n % DOES.len()], n / DOES.len());
    let (day, n) = (DAY[n % DAY.len()], n / DAY.len());
    format!("Your {what} {does} on {day} morning in {}.", WHERE[n % WHERE.len()])
}

impl Tenant {
    fn script(&self, position: usize) -> Result<String> {
        let expect = |goes: &str| -> Result<String> {
            if self.expected.is_empty() {
                return Ok(format!("    otherwise: {goes}\n"));
            }
            let say = serde_json::to_string(&self.expected)?;
            Ok(format!("    expect: [{{say: {say}, go: {goes}}}]\n    otherwise: {goes}\n"))
        };
        let greeting = self.greeting;
        let mut script = format!(
            "start: greeting\nsteps:\n  greeting:\n    respond: [{{response_type: text, text: \"{greeting}\"}}]\n{}",
            expect("answer_0")?
        );
        let answers = if self.answer == Answer::Another { A_CALL } else { 1 };
        for n in 0..answers {
            let said = match self.answer {
                Answer::Okay => "{response_type: text, text: Okay.}".to_owned(),
                Answer::Another => format!(
                    "{{response_type: user_defined, user_defined: {{vgwAction: {{command: vgwActExcludeFromTTSCache}}}}}}, \
                     {{response_type: text, text: \"{}\"}}",
                    eight_words(position * A_CALL + n)
                ),
            };
            let next = expect(&format!("answer_{}", (n + 1) % answers))?;
            write!(script, "  answer_{n}:\n    respond: [{said}]\n{next}")?;
        }
        Ok(script)
    }
}

/// A server that serves all tenants.
pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) sip: SocketAddr,
    configuration: PathBuf,
}

/// What the server noted of a call, and when: milliseconds since it began.
pub(crate) type Story = Vec<Noted>;

/// One line of it.
#[derive(Clone)]
pub(crate) struct Noted {
    pub(crate) at: u64,
    pub(crate) what: String,
}

impl Server {
    /// Writes configuration and scripts into a folder, and starts it.
    pub(crate) fn start(folder: &Path, receiver: SocketAddr) -> Result<Self> {
        let mut config = format!(
            "[sip]\nlisten = [\"udp:127.0.0.1:0\"]\n[media]\nports = \"42000-42999\"\nbind = \"127.0.0.1\"\n\
             [http]\nlisten = \"127.0.0.1:0\"\n[storage]\nurl = \"sqlite://{}\"\n",
            folder.join("speech.db").display()
        );
        for (n, tenant) in tenants().into_iter().enumerate() {
            let name = &tenant.name;
            std::fs::write(folder.join(format!("{name}.yaml")), tenant.script(n)?)?;
            write!(
                config,
                "[[tenants]]\nname = \"{name}\"\nnumbers = [\"{}\"]\n[tenants.conversation]\n\
                 post_response_timeout_ms = {SILENCE_MILLISECONDS}\n\
                 [tenants.assistant]\nkind = \"scripted\"\nscript = \"{name}.yaml\"\n[tenants.speech_to_text]\n\
                 kind = \"pocketsphinx\"\n[tenants.text_to_speech]\nkind = \"flite\"\n[tenants.records.webhook]\n\
                 url = \"http://{receiver}/\"\nsecret = \"bench\"\nevents = [\"cdr_logged\", \"message_logged\"]\n",
                number_at(n)
            )?;
        }
        let configuration = folder.join("speech.toml");
        std::fs::write(&configuration, config)?;
        let mut process = Process::serve(&configuration, None).context("build it: make speech")?;
        let (sip, _) = process.addresses()?;
        Ok(Self { process, sip, configuration })
    }

    /// What it noted of a call that is over: of utterances that came to nothing no record tells but this.
    pub(crate) fn story(&self, session: &str) -> Result<Story> {
        let binary = std::env::current_exe()?.with_file_name("bellhop");
        let mut command = std::process::Command::new(binary);
        command.args(["calls", "show", "--config"]).arg(&self.configuration).arg(session);
        let shown = command.output().context("bellhop calls show")?;
        let noted = |line: &str| {
            let (at, what) = line.trim_start().split_once("  ")?;
            let (_, what) = what.trim_start().split_once("  ")?;
            let at = (at.parse::<f64>().ok()? * 1000.0).round() as u64;
            Some(Noted { at, what: what.trim_start().to_owned() })
        };
        Ok(String::from_utf8_lossy(&shown.stdout).lines().filter_map(noted).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_have_eight_words_and_are_all_different() {
        let texts: std::collections::HashSet<String> = (0..600).map(eight_words).collect();
        assert_eq!(texts.len(), 600);
        assert!(texts.iter().all(|text| text.split(' ').count() == 8));
    }
}
