//! Whose turn it is where many tenants wait for few workers: fair in time, not in jobs.
//!
//! Each lane, which is a tenant's, has a clock that runs while its jobs do; of the lanes in which somebody waits, that is
//! next which has the fewest jobs running, and of those the one whose clock is furthest behind. A lane that was idle begins
//! at the level of the busy ones: it has saved up nothing. A lane of long jobs has no turn while so many of them run as may
//! ([`Lanes::next`]). Invariant: however much a lane hands in, and however long its
//! jobs are, a job of a lane that asks for little waits for no more than the jobs that run already. Pure: drivers are
//! `worker_pool.rs` and `turns.rs`.

use std::collections::VecDeque;
use std::time::Duration;

/// What a job costs its lane at least.
const JOB_MIN: Duration = Duration::from_micros(100);

/// Lanes of jobs.
pub(crate) struct Lanes<J> {
    lanes: Vec<Lane<J>>,
    /// Where the clock of the lane stood that had the last turn.
    level: Duration,
}

struct Lane<J> {
    waiting: VecDeque<J>,
    running: usize,
    spent: Duration,
    /// Whether its jobs are long ones.
    long: bool,
}

impl<J> Lanes<J> {
    pub(crate) fn new() -> Self {
        Self { lanes: vec![], level: Duration::ZERO }
    }

    /// Another lane; its number.
    pub(crate) fn add(&mut self) -> usize {
        self.add_of(false)
    }

    /// Another lane, of jobs that take long; its number.
    pub(crate) fn add_long(&mut self) -> usize {
        self.add_of(true)
    }

    fn add_of(&mut self, long: bool) -> usize {
        self.lanes.push(Lane { waiting: VecDeque::new(), running: 0, spent: Duration::ZERO, long });
        self.lanes.len() - 1
    }

    /// How many wait in a lane.
    pub(crate) fn waiting(&self, lane: usize) -> usize {
        self.lanes[lane].waiting.len()
    }

    /// Puts a job at the end of a lane.
    pub(crate) fn push(&mut self, lane: usize, job: J) {
        let lane = &mut self.lanes[lane];
        if lane.waiting.is_empty() && lane.running == 0 {
            lane.spent = lane.spent.max(self.level);
        }
        lane.waiting.push_back(job);
    }

    /// Drops what nobody wants any more of a lane.
    pub(crate) fn clear_out(&mut self, lane: usize, is_wanted: impl Fn(&J) -> bool) {
        self.lanes[lane].waiting.retain(is_wanted);
    }

    /// The next job, and its lane, which has to be told when it is [`Lanes::done`]. Those that nobody wants cost no turn; of
    /// long ones no more than `long_max` run at once.
    pub(crate) fn next(&mut self, long_max: usize, is_wanted: impl Fn(&J) -> bool) -> Option<(usize, J)> {
        for lane in &mut self.lanes {
            while lane.waiting.front().is_some_and(|job| !is_wanted(job)) {
                lane.waiting.pop_front();
            }
        }
        let long: usize = self.lanes.iter().filter(|lane| lane.long).map(|lane| lane.running).sum();
        let may_run = |lane: &Lane<J>| !lane.waiting.is_empty() && (!lane.long || long < long_max);
        let waiting = self.lanes.iter().enumerate().filter(|(_, lane)| may_run(lane));
        let (n, _) = waiting.min_by_key(|(_, lane)| (lane.running, lane.spent))?;
        let lane = &mut self.lanes[n];
        self.level = self.level.max(lane.spent);
        lane.running += 1;
        Some((n, lane.waiting.pop_front()?))
    }

    /// A job of a lane took so long.
    pub(crate) fn done(&mut self, lane: usize, took: Duration) {
        let lane = &mut self.lanes[lane];
        lane.running -= 1;
        lane.spent += took.max(JOB_MIN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    const MS: Duration = Duration::from_millis(1);

    /// Workers in virtual time. Jobs are their cost in milliseconds.
    struct Node {
        lanes: Lanes<(u32, Duration)>,
        /// Who runs: until when, lane, cost.
        running: Vec<(Duration, usize, u32)>,
        workers: usize,
        now: Duration,
        /// Of each lane: what its jobs waited, and what they took together.
        waited: BTreeMap<usize, Vec<Duration>>,
        worked: BTreeMap<usize, u32>,
    }

    impl Node {
        fn new(workers: usize, lanes: usize) -> Self {
            let mut all = Lanes::new();
            (0..lanes).for_each(|n| assert_eq!(all.add(), n));
            let (waited, worked) = (BTreeMap::new(), BTreeMap::new());
            Self { lanes: all, running: vec![], workers, now: Duration::ZERO, waited, worked }
        }

        fn asks(&mut self, lane: usize, ms: u32) {
            self.lanes.push(lane, (ms, self.now));
        }

        /// A millisecond passes.
        fn pass(&mut self) {
            let now = self.now;
            for (_, lane, ms) in self.running.extract_if(.., |(until, ..)| *until <= now) {
                self.lanes.done(lane, MS * ms);
                *self.worked.entry(lane).or_default() += ms;
            }
            while self.running.len() < self.workers
                && let Some((lane, (ms, asked))) = self.lanes.next(usize::MAX, |_| true)
            {
                self.waited.entry(lane).or_default().push(now - asked);
                self.running.push((now + MS * ms, lane, ms));
            }
            self.now += MS;
        }
    }

    #[test]
    fn beside_noisy_tenants_of_each_sort_twenty_quiet_ones_wait_for_one_job() {
        for workers in [1, 2] {
            let mut node = Node::new(workers, 23);
            for ms in 0..20_000_u32 {
                // One hands in all its long jobs at once, one a short one each millisecond, one a long one whenever it may.
                if ms == 0 {
                    (0..256).for_each(|_| node.asks(20, 200));
                }
                node.asks(21, 2);
                if node.lanes.waiting(22) == 0 {
                    node.asks(22, 200);
                }
                // The others say a sentence in turn, each every four seconds.
                if ms % 200 == 7 {
                    node.asks((ms / 200) as usize % 20, 20);
                }
                node.pass();
            }
            let quiet = (0..20).flat_map(|lane| node.waited[&lane].clone());
            let most = quiet.max().expect("they spoke");
            assert!(most <= MS * 220, "{most:?} with {workers} workers");
            let shares: Vec<u32> = (20..23).map(|lane| node.worked[&lane]).collect();
            let (least, most) = (shares.iter().min(), shares.iter().max());
            assert!(most.expect("three") - least.expect("three") <= 900, "each has its share of time: {shares:?}");
        }
    }

    #[test]
    fn who_was_idle_has_saved_up_nothing() {
        let mut node = Node::new(1, 2);
        (0..100).for_each(|_| node.asks(0, 100));
        (0..5000).for_each(|_| node.pass());
        (0..100).for_each(|_| node.asks(1, 100));
        let before = node.worked[&0];
        (0..4000).for_each(|_| node.pass());
        assert!((1800..=2200).contains(&(node.worked[&0] - before)), "{} of 4000 ms", node.worked[&0] - before);
    }

    #[test]
    fn what_nobody_wants_costs_no_turn() {
        let mut lanes = Lanes::new();
        let (a, b) = (lanes.add(), lanes.add());
        [1, 2, 3].into_iter().for_each(|job| lanes.push(a, job));
        lanes.push(b, 4);
        assert_eq!(lanes.next(usize::MAX, |job| *job > 2), Some((a, 3)));
        assert_eq!(lanes.next(usize::MAX, |_| true), Some((b, 4)));
        assert_eq!(lanes.next(usize::MAX, |_| true), None);
        lanes.push(a, 5);
        lanes.clear_out(a, |_| false);
        assert_eq!(lanes.waiting(a), 0);
    }
}
