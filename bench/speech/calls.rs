//! Calls to place, some at once, and what is left of each.
//!
//! Invariant: callers begin one after the other over three seconds, so that they do not all speak and wait together.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};
use bellhop_rehearsal::caller::{self, CallPlan, CallReport, Conditions, Line};
use bellhop_sip::hop::Transport;
use bellhop_sip::sdp::{Codec, Security};
use serde_json::Value;

use crate::processor::{Spent, Used};
use crate::receiver::Receiver;
use crate::tenants::{self, Server, Story};
use crate::utterances::Utterance;

/// Over how long the first callers begin.
const BEGINNINGS: Duration = Duration::from_secs(3);
/// When the caller hangs up after they began to interrupt: long enough for the reply to go on, or for another.
const AFTER_INTERRUPTION: Duration = Duration::from_secs(8);

/// A call to place.
pub(crate) struct Call {
    plan: CallPlan,
    pub(crate) condition: &'static str,
    pub(crate) said: Vec<Utterance>,
}

/// How a caller sounds, and how that is called.
#[derive(Clone)]
pub(crate) struct Sounding {
    pub(crate) name: &'static str,
    pub(crate) conditions: Conditions,
}

/// How the nth call sounds: most are clean, some are noisy, some lose packets.
pub(crate) fn sounding(call: usize, sample_rate: u32) -> Sounding {
    let clean = Conditions { sample_rate, seed: call as u64 + 1, ..Conditions::default() };
    let (name, conditions) = match call % 10 {
        3 | 8 => ("noise", Conditions { noise: 300, ..clean }),
        5 => ("loss 1 %", Conditions { loss: 0.01, ..clean }),
        7 => ("loss 3 %", Conditions { loss: 0.03, ..clean }),
        _ => ("clean", clean),
    };
    Sounding { name, conditions }
}

/// A quiet room and a good network.
pub(crate) fn clean(call: usize) -> Sounding {
    Sounding { name: "clean", conditions: Conditions { seed: call as u64 + 1, ..Conditions::default() } }
}

/// Who has called: each call is another caller's, so that its record is found.
#[derive(Default)]
pub(crate) struct Callers(usize);

impl Callers {
    /// A call in which these sentences are said one after the other.
    pub(crate) fn talk(
        &mut self,
        server: &Server,
        tenant: &str,
        codec: Codec,
        sounding: Sounding,
        said: &[Utterance],
    ) -> Result<Call> {
        let mut lines: Vec<Line> = said.iter().map(say).collect();
        lines.push(Line::HangUp);
        let plan = self.plan(server, tenant, codec, sounding.conditions, lines)?;
        Ok(Call { plan, condition: sounding.name, said: said.to_vec() })
    }

    /// A call in which something is heard of the caller while they are greeted; the nth of its kind.
    pub(crate) fn interrupt(
        &mut self,
        server: &Server,
        n: usize,
        kind: &'static str,
        heard: &Utterance,
    ) -> Result<Call> {
        let wait = Duration::from_millis(2000 + 100 * (n % 20) as u64);
        let lines = vec![Line::AtOnce(wait), say(heard), Line::AtOnce(wait + AFTER_INTERRUPTION), Line::HangUp];
        let plan = self.plan(server, "interrupted", Codec::Pcmu, sounding(n, 8000).conditions, lines)?;
        Ok(Call { plan, condition: kind, said: vec![] })
    }

    fn plan(
        &mut self,
        server: &Server,
        tenant: &str,
        codec: Codec,
        conditions: Conditions,
        lines: Vec<Line>,
    ) -> Result<CallPlan> {
        self.0 += 1;
        Ok(CallPlan {
            server: server.sip,
            transport: Transport::Udp,
            dialled: tenants::number(tenant)?,
            caller: format!("+1206555{:04}", self.0),
            headers: vec![],
            lines,
            certificate: None,
            server_name: "localhost".to_owned(),
            codecs: vec![codec],
            security: Security::Off,
            conditions,
            limit: Duration::from_secs(240),
        })
    }
}

fn say(utterance: &Utterance) -> Line {
    Line::Say { words: utterance.words.clone(), samples: utterance.samples.clone() }
}

/// What became of a call.
pub(crate) struct Outcome {
    pub(crate) condition: &'static str,
    pub(crate) said: Vec<Utterance>,
    pub(crate) sample_rate: u32,
    pub(crate) report: CallReport,
    pub(crate) turns: Vec<Value>,
    pub(crate) story: Story,
}

/// Calls that are over, and what processors did meanwhile.
pub(crate) struct Placed {
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) spent: Spent,
}

/// Places calls, so many at once.
pub(crate) fn place_all(calls: Vec<Call>, at_once: usize, server: &Server, receiver: &Receiver) -> Result<Placed> {
    let used = Used::now(server.process.id());
    let at_once = at_once.clamp(1, calls.len().max(1));
    let (waiting, done) = (Mutex::new(VecDeque::from(calls)), Mutex::new(vec![]));
    let work = |nth: usize| -> Result<()> {
        std::thread::sleep(BEGINNINGS * nth as u32 / at_once as u32);
        loop {
            let Some(call) = waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front() else { return Ok(()) };
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let report = runtime.block_on(caller::place(call.plan.clone(), |_, _| {}))?;
            ensure!(report.answered_after.is_some(), "a call was not answered: {:?}", report.ended);
            done.lock().unwrap_or_else(PoisonError::into_inner).push((call, report));
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..at_once).map(|nth| scope.spawn(move || work(nth))).collect();
        workers.into_iter().try_for_each(|worker| worker.join().unwrap_or_else(|_| Err(anyhow!("a caller panicked"))))
    })?;
    let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut spent = used.until_now(server.process.id());
    // Only now: whoever asks takes time of the processor from calls.
    let outcomes: Result<Vec<Outcome>> =
        done.into_iter().map(|(call, report)| left_of(call, report, server, receiver)).collect();
    let outcomes = outcomes?;
    spent.speech = outcomes.iter().map(Outcome::seconds_of_speech).sum();
    Ok(Placed { outcomes, spent })
}

fn left_of(call: Call, report: CallReport, server: &Server, receiver: &Receiver) -> Result<Outcome> {
    let turns = receiver.call_of(&call.plan.caller)?.turns;
    let session = turns.first().and_then(|turn| turn["global_session_id"].as_str()).unwrap_or_default();
    let story = server.story(session)?;
    let sample_rate = call.plan.conditions.sample_rate;
    Ok(Outcome { condition: call.condition, said: call.said, sample_rate, report, turns, story })
}
