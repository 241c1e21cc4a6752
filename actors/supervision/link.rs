//! `spawn_linked`: an actor whose end is observed from outside.
//!
//! What actix does not do, and each is proved in this file's tests: `actix::Supervisor` re-uses the same value and does not
//! survive a panic; a panic in a handler vanishes into a dropped `JoinHandle`; `do_send` ignores the mailbox's capacity and
//! is silent when it is closed; an actor with a pending interval outlives its addresses; a mailbox drains without a budget.
//! So the actor's future is wrapped in `catch_unwind` with an obituary whose `Drop` reports.
//!
//! An actor lives in the span that it was started in: its handlers, its futures, its end and the linked actors that it starts.
//! A call's span reaches all of its log lines this way.
//!
//! Invariant: [`ChildDown`] is sent exactly once for every linked actor, and never by the dying actor.

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Instant;

use actix::{Actor, Addr, Context};
use futures_util::FutureExt;
use tokio::task::AbortHandle;
use tracing::Instrument;

use super::{ChildDown, ChildName, Exit};

/// What a linked actor holds to say why it ends. The first word counts.
#[derive(Debug, Clone, Default)]
pub struct Link(Rc<RefCell<Option<Exit>>>);

impl Link {
    /// Says why the actor is about to end; call `ctx.stop()` after it.
    pub fn exit(&self, exit: Exit) {
        self.0.borrow_mut().get_or_insert(exit);
    }
}

/// A running linked actor. Dropping this handle drops the actor: nobody outlives who started it.
#[derive(Debug)]
pub struct Linked<A: Actor> {
    /// Its address.
    pub address: Addr<A>,
    link: Link,
    abort: AbortHandle,
}

impl<A: Actor> Linked<A> {
    /// Gives an actor up that does not stop or answer: it is dropped where it waits.
    pub fn abandon(&self) {
        self.link.exit(Exit::Overdue);
        self.abort.abort();
    }
}

impl<A: Actor> Drop for Linked<A> {
    fn drop(&mut self) {
        self.abort.abort();
    }
}

/// A mailbox before there is its actor: who speak to each other have each other's addresses from the start.
#[derive(Debug)]
pub struct Prepared<A: Actor<Context = Context<A>>>(Context<A>);

impl<A: Actor<Context = Context<A>>> Prepared<A> {
    /// Of so many places.
    pub fn new(mailbox: usize) -> Self {
        let mut context = Context::new();
        context.set_mailbox_capacity(mailbox);
        Self(context)
    }

    /// What is sent there waits for the actor.
    pub fn address(&self) -> Addr<A> {
        actix::AsyncContext::address(&self.0)
    }

    /// Starts the actor on this thread, in the current span, and reports its end, exactly once.
    pub fn start(
        mut self,
        child: ChildName,
        report: impl FnOnce(ChildDown) + 'static,
        build: impl FnOnce(&mut Context<A>, Link) -> A,
    ) -> Linked<A> {
        let (link, address) = (Link::default(), self.address());
        let obituary = Obituary { child, began: crate::now(), link: link.clone(), report: Some(Box::new(report)) };
        let actor = build(&mut self.0, link.clone());
        let mut future = Box::pin(self.0.into_future(actor));
        let life = async move {
            let obituary = obituary;
            if let Err(panic) = AssertUnwindSafe(future.as_mut()).catch_unwind().await {
                obituary.link.exit(Exit::Panicked { message: panic_message(&*panic) });
            }
            // Dropping the context runs `stopped()`, which may panic in turn; that must not cost the report.
            let _ = catch_unwind(AssertUnwindSafe(move || drop(future)));
            drop(obituary);
        };
        let task = actix_rt::spawn(life.in_current_span());
        Linked { address, link, abort: task.abort_handle() }
    }
}

/// Starts an actor on this thread, in the current span, and reports its end, exactly once.
pub fn spawn_linked<A>(
    child: ChildName,
    mailbox: usize,
    report: impl FnOnce(ChildDown) + 'static,
    build: impl FnOnce(&mut Context<A>, Link) -> A,
) -> Linked<A>
where
    A: Actor<Context = Context<A>>,
{
    Prepared::new(mailbox).start(child, report, build)
}

/// Reports in its `Drop`, so that no way to end can forget it.
struct Obituary {
    child: ChildName,
    began: Instant,
    link: Link,
    report: Option<Box<dyn FnOnce(ChildDown)>>,
}

impl Drop for Obituary {
    fn drop(&mut self) {
        if let Some(report) = self.report.take() {
            let exit = self.link.0.borrow_mut().take().unwrap_or(Exit::Finished);
            report(ChildDown { child: self.child, exit, ran_for: crate::now() - self.began });
        }
    }
}

/// The text of a panic.
pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (None, Some(text)) => text.clone(),
        (None, None) => "a panic without text".to_owned(),
    }
}
