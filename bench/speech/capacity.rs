//! How many speaking calls a core carries: more and more at once, until callers wait too long.
//!
//! Invariant: the search ends within its limit, with the largest number that was good and the smallest that was not.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Map, Value, json};

use crate::calls::place_all;
use crate::figures::{self, DEAD_AIR};
use crate::receiver::Receiver;
use crate::settings::Bench;
use crate::tenants::Server;

/// How long the search may take: no step is begun that may end after it.
const LIMIT: Duration = Duration::from_secs(150);
/// What a step takes at least; the last one says what the next may take.
const STEP: Duration = Duration::from_secs(20);
/// Sentences of each caller in a step.
const SENTENCES: usize = 3;
/// Calls at once to begin with, and the most that are tried.
const FIRST: usize = 10;
const MOST: usize = 320;

/// Doubles the calls at once until the wait of 95 % is too long, then halves the interval.
pub(crate) fn search(bench: &mut Bench<'_>, server: &Server, receiver: &Receiver) -> Result<Map<String, Value>> {
    let began = Instant::now();
    let (mut good, mut bad, mut calls, mut last) = (0, None, FIRST, STEP);
    let mut steps = vec![];
    while began.elapsed() + last.max(STEP) < LIMIT {
        let step = Instant::now();
        let placed = place_all(bench.spread(calls, SENTENCES)?, calls, server, receiver)?;
        let waits = figures::waits(&placed.outcomes);
        let sentences: usize = placed.outcomes.iter().map(|outcome| outcome.said.len()).sum();
        let p95 = figures::at_share(&waits, 0.95);
        // Whoever was never answered waited longer than anybody.
        let carried = p95.is_some_and(|wait| wait < DEAD_AIR) && waits.len() * 20 >= sentences * 19;
        steps.push(json!({"calls": calls, "wait_p95_ms": p95, "answered": waits.len(), "sentences": sentences,
            "processor": placed.spent.to_json()}));
        last = step.elapsed();
        if carried {
            good = calls
        } else {
            bad = Some(calls)
        }
        calls = match bad {
            None => calls * 2,
            Some(bad) => (good + bad) / 2,
        };
        let is_narrow = bad.is_some_and(|bad| bad - good <= (good / 8).max(2));
        if is_narrow || calls > MOST || calls == 0 {
            break;
        }
    }
    Ok(Map::from_iter([
        ("carried".to_owned(), json!(good)),
        ("not_carried".to_owned(), json!(bad)),
        ("steps".to_owned(), json!(steps)),
    ]))
}
