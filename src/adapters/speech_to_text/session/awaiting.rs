//! Which of what was heard has its result: the utterance that is being said, and those that have ended. Pure: time is the audio
//! that passes, which stands still while nobody hears it.
//!
//! Invariant: what never gets a result, like a cough, is awaited as long as any of it may be told again, and takes nobody's after
//! that. In doubt a result is that of the utterance before: what is told twice is better than what is told to nobody.

use std::time::Duration;

use bellhop_dialogue::ports::RecognizerEvent;

use super::backlog::BACKLOG_MAX;

/// What the caller is saying.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Utterance {
    #[default]
    None,
    /// It has no result yet.
    Open,
    /// It has, and goes on; words behind that result open it again.
    Understood,
}

/// What need not be told again, should the connection be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// Nothing more than before.
    Nothing,
    /// All that was said.
    All,
    /// What was said before the utterance that is being said.
    Before,
    /// Nothing, and what voice activity may have missed is told too.
    Missed,
}

/// What awaits a result.
#[derive(Debug, Default)]
pub(super) struct Awaiting {
    utterance: Utterance,
    /// An utterance has ended without its result; so much was heard since.
    ended: Option<Duration>,
}

impl Awaiting {
    /// The caller says something that has no result yet.
    pub(super) fn is_open(&self) -> bool {
        self.utterance == Utterance::Open
    }

    /// An utterance begins.
    pub(super) fn began(&mut self) {
        self.utterance = Utterance::Open;
    }

    /// It ends.
    pub(super) fn ended(&mut self) {
        if std::mem::take(&mut self.utterance) == Utterance::Open {
            self.ended = Some(Duration::ZERO);
        }
    }

    /// So much audio goes to the service.
    pub(super) fn passed(&mut self, audio: Duration) {
        self.ended = self.ended.map(|since| since + audio).filter(|since| *since < BACKLOG_MAX);
    }

    /// Another connection was told what has no result.
    pub(super) fn told_again(&mut self) {
        self.ended = self.ended.map(|_| Duration::ZERO);
    }

    /// The service says this.
    pub(super) fn heard(&mut self, event: &RecognizerEvent) -> Told {
        match event {
            RecognizerEvent::FinalResult { .. } if self.is_open() => {
                if self.ended.take().is_some() {
                    // Of the utterance before the one that is being said.
                    return Told::Before;
                }
                self.utterance = Utterance::Understood;
                Told::All
            }
            RecognizerEvent::FinalResult { .. } => {
                self.ended = None;
                Told::All
            }
            // What has ended has no words.
            RecognizerEvent::NotUnderstood if self.ended.take().is_some() => {
                if self.is_open() {
                    Told::Before
                } else {
                    Told::All
                }
            }
            RecognizerEvent::InterimResult { .. } => {
                if self.utterance == Utterance::Understood {
                    self.utterance = Utterance::Open;
                }
                Told::Missed
            }
            _ => Told::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `(` and `)` begin and end an utterance, `+` is five seconds of audio, `c` another connection, and the service says: `f`inal,
    /// `i`nterim, `n`ot understood.
    fn told(plan: &str) -> Vec<Told> {
        let mut awaiting = Awaiting::default();
        let mut told = vec![];
        for step in plan.chars() {
            match step {
                '(' => awaiting.began(),
                ')' => awaiting.ended(),
                '+' => awaiting.passed(Duration::from_secs(5)),
                'c' => awaiting.told_again(),
                'f' => {
                    let yes = RecognizerEvent::FinalResult { text: "yes".into(), confidence: 1.0, result: None };
                    told.push(awaiting.heard(&yes));
                }
                'i' => {
                    let yes = RecognizerEvent::InterimResult { text: "yes".into(), stable: false };
                    told.push(awaiting.heard(&yes));
                }
                'n' => told.push(awaiting.heard(&RecognizerEvent::NotUnderstood)),
                other => panic!("{other}"),
            }
        }
        told
    }

    #[test]
    fn a_result_is_that_of_the_utterance_it_came_for() {
        use Told::{All, Before, Missed, Nothing};
        for (plan, expected) in [
            ("(f)", vec![All]),
            ("()f", vec![All]),
            ("()(f", vec![Before]),
            ("()(ff", vec![Before, All]),
            ("(f)(f", vec![All, All]),
            ("(fi)(f", vec![All, Missed, Before]),
            ("(fi)n(f", vec![All, Missed, All, All]),
            ("()(n", vec![Before]),
            // What a service has no words for may be followed by some, and it need not say so before.
            ("(n)(f", vec![Nothing, Before]),
            ("n", vec![Nothing]),
            ("()++(f", vec![Before]),
            ("()+++(f", vec![All]),
            ("()+++(n", vec![Nothing]),
            ("()++c++(f", vec![Before]),
            ("()+++c(f", vec![All]),
        ] {
            assert_eq!(told(plan), expected, "{plan}");
        }
    }
}
