//! ConnectHandoff: drives the hand-off's core. The only holder of the port that writes contact attributes.
//!
//! Invariant: it writes when it is told to commit, once, and at no other time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::fut::WrapFuture;
use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler};
use bellhop_connect::handoff::{Handoff, Input, Output, StoreFailed, WriteOutcome};
use bellhop_connect::ports::{AttributeBlanker, AttributeWriter, History, HistoryStore};
use bellhop_connect::session_history_key::{RANDOM_BYTES, SessionHistoryKey};

use super::messages::{CommitHandoff, FileHistory, MarkHangup, PrepareHandoff};
use super::{NewCall, Reports, child};
use crate::drive::Tell;
use crate::metrics;
use crate::supervision::{Failure, Link};
use bellhop_call::lifecycle::{self, PREPARE_MAX};

/// How long a key's blanking may hold a BYE up.
pub(crate) const BLANK_WITHIN: Duration = Duration::from_millis(1500);

/// Stores the history and writes the contact's attributes; nobody else in a call can.
pub struct ConnectHandoff {
    link: Link,
    call: Reports,
    tenant: String,
    core: Handoff,
    attributes: Arc<dyn AttributeWriter>,
    blanker: Arc<dyn AttributeBlanker>,
    histories: Arc<dyn HistoryStore>,
    history: Option<History>,
    committed_at: Option<Instant>,
}

impl ConnectHandoff {
    pub(super) fn new(link: Link, call: Reports, new_call: &NewCall) -> Self {
        let services = &new_call.services;
        Self {
            link,
            call,
            tenant: services.integration.tenant.name.clone(),
            core: Handoff::new(new_call.contact.initial_contact_id.clone()),
            attributes: Arc::clone(&services.attributes),
            blanker: Arc::clone(&services.blanker),
            histories: Arc::clone(&services.histories),
            history: None,
            committed_at: None,
        }
    }

    fn put(&mut self, ctx: &mut Context<Self>, input: Input<'_>) {
        self.core.handle(input);
        while let Some(output) = self.core.poll() {
            self.carry_out(output, ctx);
        }
    }

    fn carry_out(&mut self, output: Output, ctx: &mut Context<Self>) {
        match output {
            Output::Store(name) => {
                let Some(history) = self.history.take() else {
                    return self.put(ctx, Input::Stored(Err(StoreFailed)));
                };
                let storing = tokio::time::timeout(PREPARE_MAX, self.histories.store(name, history)).into_actor(self);
                ctx.spawn(storing.map(|stored, this, ctx| {
                    this.put(ctx, Input::Stored(stored.unwrap_or(Err(StoreFailed))));
                }));
            }
            Output::Prepared { names } => self.call.do_send(Tell(lifecycle::Input::HandoffPrepared { names })),
            Output::Impossible(why) => {
                metrics::handoff(&self.tenant, "impossible", None);
                tracing::warn!(%why, "no hand-off");
                self.call.do_send(Tell(lifecycle::Input::HandoffImpossible));
            }
            Output::Write { contact_id, attributes } => {
                self.committed_at = Some(crate::now());
                let writing = self.attributes.write(contact_id, attributes).into_actor(self);
                ctx.spawn(writing.map(|outcome, this, ctx| this.written(outcome, ctx)));
            }
            Output::Blank { contact_id, names } => {
                let blanking = self.blanker.blank(contact_id, names);
                let blanking = tokio::time::timeout(BLANK_WITHIN, blanking).into_actor(self);
                ctx.spawn(blanking.map(|_, this, ctx| this.put(ctx, Input::Blanked)));
            }
            Output::Committed => self.ended(Ok(())),
            Output::Refused => self.ended(Err(Failure::HandoffRefused)),
            Output::Uncertain => self.ended(Err(Failure::HandoffUncertain)),
        }
    }

    fn ended(&self, outcome: Result<(), Failure>) {
        self.call.do_send(Tell(lifecycle::Input::HandoffEnded(outcome)));
    }

    fn written(&mut self, outcome: WriteOutcome, ctx: &mut Context<Self>) {
        let result = match outcome {
            WriteOutcome::Done => "committed",
            WriteOutcome::Refused => "refused",
            WriteOutcome::Uncertain => "uncertain",
        };
        let took = self.committed_at.map(|at| crate::now() - at);
        metrics::handoff(&self.tenant, result, took);
        self.put(ctx, Input::Written(outcome));
    }
}

impl Actor for ConnectHandoff {
    type Context = Context<Self>;
}

child!(ConnectHandoff);

impl Handler<PrepareHandoff> for ConnectHandoff {
    type Result = ();

    fn handle(&mut self, PrepareHandoff { transfer, history }: PrepareHandoff, ctx: &mut Self::Context) {
        self.history = Some(history);
        let key = SessionHistoryKey::from_random(rand::random::<[u8; RANDOM_BYTES]>());
        self.put(ctx, Input::Prepare { key, custom_data: transfer.custom_data.as_ref() });
    }
}

impl Handler<FileHistory> for ConnectHandoff {
    type Result = ();

    fn handle(&mut self, FileHistory { history }: FileHistory, ctx: &mut Self::Context) {
        let key = SessionHistoryKey::from_random(rand::random::<[u8; RANDOM_BYTES]>());
        let storing = tokio::time::timeout(PREPARE_MAX, self.histories.lend(key.filed_as(), history)).into_actor(self);
        ctx.spawn(storing.map(move |stored, this, _| {
            let filed = matches!(stored, Ok(Ok(()))).then(|| {
                let name = key.filed_as();
                (key, name)
            });
            this.call.do_send(Tell(lifecycle::Input::HistoryFiled(filed)));
        }));
    }
}

impl Handler<CommitHandoff> for ConnectHandoff {
    type Result = ();

    fn handle(&mut self, _: CommitHandoff, ctx: &mut Self::Context) {
        self.put(ctx, Input::Commit);
    }
}

impl Handler<MarkHangup> for ConnectHandoff {
    type Result = ();

    fn handle(&mut self, _: MarkHangup, ctx: &mut Self::Context) {
        self.put(ctx, Input::MarkHangup);
    }
}
