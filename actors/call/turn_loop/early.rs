//! What the assistant says to a question that may never be asked.
//!
//! Invariant: nothing of it goes on before the same question is asked for good; then all of it does, in order and once. It is thrown away
//! with another question, or when the caller goes on.

use std::time::Instant;

use actix::fut::WrapFuture;
use actix::{ActorFutureExt, AsyncContext, Context, Handler, Message, SpawnHandle};
use bellhop_dialogue::ports::{Part, ServiceFailure, TurnReply, TurnRequest};
use bellhop_dialogue::turn_loop::is_same_question;

use super::{ReplyPart, TurnLoop};
use crate::metrics::{self, EarlyQuestion};

/// Questions that were asked early.
#[derive(Default)]
pub(super) struct Early {
    asked: u64,
    questions: Vec<Question>,
}

struct Question {
    serial: u64,
    request: TurnRequest,
    work: SpawnHandle,
    state: State,
}

enum State {
    /// Nobody has asked it for good yet.
    Kept {
        /// What has come.
        parts: Vec<Part>,
        /// The end of it.
        end: Option<Result<TurnReply, ServiceFailure>>,
    },
    /// It is a turn since then.
    Asked(Instant),
}

impl Question {
    fn is_kept(&self) -> bool {
        matches!(self.state, State::Kept { .. })
    }

    fn has_failed(&self) -> bool {
        matches!(self.state, State::Kept { end: Some(Err(_)), .. })
    }
}

/// Something has come of an early question.
#[derive(Message)]
#[rtype(result = "()")]
struct Came {
    serial: u64,
    what: What,
}

enum What {
    Part(Part),
    End(Result<TurnReply, ServiceFailure>),
}

impl TurnLoop {
    pub(super) fn ask_early(&mut self, request: TurnRequest, ctx: &mut Context<Self>) {
        self.forget_early(ctx);
        self.early.asked += 1;
        let (serial, this) = (self.early.asked, ctx.address());
        let parts = Box::new(move |part| this.do_send(Came { serial, what: What::Part(part) }));
        let answer = self.assistant.turn(request.clone(), parts).into_actor(self);
        // Through the mailbox: behind the parts that are in there already.
        let work = ctx.spawn(answer.map(move |reply, _, ctx| {
            ctx.address().do_send(Came { serial, what: What::End(reply) });
        }));
        let state = State::Kept { parts: vec![], end: None };
        self.early.questions.push(Question { serial, request, work, state });
    }

    /// What nobody asked is thrown away.
    pub(super) fn forget_early(&mut self, ctx: &mut Context<Self>) {
        for question in self.early.questions.extract_if(.., |question| question.is_kept()) {
            ctx.cancel_future(question.work);
            metrics::asked_early(&self.tenant, EarlyQuestion::Forgotten);
        }
    }

    /// Whether this question was asked early; then what has come of it goes on, and what comes does.
    pub(super) fn was_asked_early(&mut self, request: &TurnRequest, ctx: &mut Context<Self>) -> bool {
        // One that failed is asked anew: that was no try of the turn.
        let is_it = |question: &Question| {
            question.is_kept() && !question.has_failed() && is_same_question(&question.request, request)
        };
        let Some(at) = self.early.questions.iter().position(is_it) else {
            self.forget_early(ctx);
            return false;
        };
        let (number, attempt, now) = (request.number, request.attempt, crate::now());
        let kept = std::mem::replace(&mut self.early.questions[at].state, State::Asked(now));
        metrics::asked_early(&self.tenant, EarlyQuestion::Asked);
        let State::Kept { parts, end } = kept else { return true };
        for part in parts {
            ctx.address().do_send(ReplyPart { number, attempt, part });
        }
        if let Some(reply) = end {
            // One of a turn before may still be streaming: its end is not this one's.
            self.early.questions.remove(at);
            self.answered((number, attempt), now, reply, ctx);
        }
        true
    }
}

impl Handler<Came> for TurnLoop {
    type Result = ();

    fn handle(&mut self, Came { serial, what }: Came, ctx: &mut Self::Context) {
        let Some(at) = self.early.questions.iter().position(|question| question.serial == serial) else { return };
        let question = &mut self.early.questions[at];
        let (number, attempt) = (question.request.number, question.request.attempt);
        match (&mut question.state, what) {
            (State::Kept { parts, .. }, What::Part(part)) => parts.push(part),
            (State::Kept { end, .. }, What::End(reply)) => *end = Some(reply),
            (State::Asked(_), What::Part(part)) => ctx.address().do_send(ReplyPart { number, attempt, part }),
            (State::Asked(asked), What::End(reply)) => {
                let asked = *asked;
                self.early.questions.remove(at);
                self.answered((number, attempt), asked, reply, ctx);
            }
        }
    }
}
