//! Every kind of death is reported once; and the facts of actix that made the link necessary.

use std::cell::Cell;
use std::time::Duration;

use actix::{ActorContext, AsyncContext, Handler, Message, Supervised};

use super::*;
use crate::supervision::{Failure, Fault};

/// Runs a test on an actix system with virtual time.
fn in_system<F: Future<Output = ()> + 'static>(test: impl FnOnce() -> F) {
    let build =
        || tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("runtime");
    actix_rt::System::with_tokio_rt(build).block_on(test());
}

#[derive(Message)]
#[rtype(result = "()")]
struct Die(Option<Fault>);

struct Mortal {
    link: Link,
    panics: &'static str,
}

impl Actor for Mortal {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        assert!(self.panics != "started", "in started");
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        assert!(self.panics != "stopped", "in stopped");
    }
}

impl Handler<Die> for Mortal {
    type Result = ();

    fn handle(&mut self, Die(how): Die, ctx: &mut Self::Context) {
        match how {
            None => ctx.stop(),
            Some(Fault::Error) => {
                self.link.exit(Exit::Failed(Failure::Injected));
                ctx.stop();
            }
            Some(Fault::Panic) => panic!("in a handler"),
            // What production code is not allowed to do.
            #[allow(clippy::disallowed_methods)]
            Some(_) => ctx.wait(actix::fut::wrap_future(std::future::pending())),
        }
    }
}

impl Supervised for Mortal {}

struct Watch(Rc<RefCell<Vec<Exit>>>);

impl Watch {
    fn new() -> Self {
        Self(Rc::default())
    }

    fn start(&self, panics: &'static str) -> Linked<Mortal> {
        let seen = Rc::clone(&self.0);
        let report = move |down: ChildDown| seen.borrow_mut().push(down.exit);
        spawn_linked(ChildName::SttStream, 4, report, |_, link| Mortal { link, panics })
    }

    async fn exits(&self) -> Vec<Exit> {
        tokio::time::sleep(Duration::from_millis(10)).await;
        self.0.borrow().clone()
    }
}

#[test]
fn every_death_is_reported_once() {
    in_system(|| async {
        let panicked = |message: &str| Exit::Panicked { message: message.into() };
        for (panics, how, expected) in [
            ("", None, Exit::Finished),
            ("", Some(Fault::Error), Exit::Failed(Failure::Injected)),
            ("", Some(Fault::Panic), panicked("in a handler")),
            ("started", None, panicked("in started")),
            ("stopped", None, panicked("in stopped")),
            ("stopped", Some(Fault::Panic), panicked("in a handler")),
        ] {
            let watch = Watch::new();
            let child = watch.start(panics);
            child.address.do_send(Die(how));
            assert_eq!(watch.exits().await, [expected], "{panics} {how:?}");
            drop(child);
            assert_eq!(watch.exits().await.len(), 1, "never twice");
        }
    });
}

#[test]
fn a_hung_actor_is_dropped_and_reported() {
    in_system(|| async {
        let watch = Watch::new();
        let child = watch.start("");
        child.address.do_send(Die(Some(Fault::BlockThread)));
        child.address.do_send(Die(None));
        assert_eq!(watch.exits().await, [], "a hung actor does not end by itself");
        child.abandon();
        assert_eq!(watch.exits().await, [Exit::Overdue]);
    });
}

#[test]
fn a_child_does_not_outlive_its_parent() {
    in_system(|| async {
        let watch = Watch::new();
        let child = watch.start("");
        let address = child.address.clone();
        drop(child);
        assert_eq!(watch.exits().await, [Exit::Finished]);
        assert!(!address.connected());
    });
}

/// Fact 1: `actix::Supervisor` does not survive a panic of what it supervises.
#[test]
fn fact_the_supervisor_of_actix_does_not_restart_after_a_panic() {
    in_system(|| async {
        let address = actix::Supervisor::start(|_| Mortal { link: Link::default(), panics: "" });
        address.do_send(Die(Some(Fault::Panic)));
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert!(!address.connected());
    });
}

/// Fact 2: the supervisor restarts the same value, with whatever state it had.
#[test]
fn fact_the_supervisor_of_actix_restarts_the_same_value() {
    struct Counter(u32, Rc<Cell<u32>>);
    impl Actor for Counter {
        type Context = Context<Self>;
    }
    impl Supervised for Counter {
        fn restarting(&mut self, _: &mut Self::Context) {
            self.1.set(self.0);
        }
    }
    impl Handler<Die> for Counter {
        type Result = ();
        fn handle(&mut self, _: Die, ctx: &mut Self::Context) {
            self.0 += 1;
            ctx.stop();
        }
    }
    in_system(|| async {
        let seen = Rc::new(Cell::new(0));
        let inner = Rc::clone(&seen);
        let address = actix::Supervisor::start(move |_| Counter(41, inner));
        address.do_send(Die(None));
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert_eq!(seen.get(), 42, "the state of before is still there");
    });
}

/// Fact 3: a panic in a handler of a plainly started actor is told to nobody.
#[test]
fn fact_a_panic_in_a_plain_actor_vanishes() {
    in_system(|| async {
        let address = Mortal { link: Link::default(), panics: "" }.start();
        let answer = address.send(Die(Some(Fault::Panic))).await;
        assert!(answer.is_err(), "the asker learns of a closed mailbox, nobody of a panic");
        assert!(!address.connected());
    });
}

/// Fact 4: `do_send` ignores the capacity and is silent when the mailbox is closed; `try_send` does neither.
#[test]
fn fact_do_send_ignores_capacity_and_closed_mailboxes() {
    in_system(|| async {
        let watch = Watch::new();
        let child = watch.start("");
        child.address.do_send(Die(Some(Fault::BlockThread)));
        tokio::time::sleep(Duration::from_millis(10)).await;
        (0..1000).for_each(|_| child.address.do_send(Die(None)));
        // Each handle may overfill the mailbox by one message before it learns that it is full.
        let _ = child.address.try_send(Die(None));
        assert!(matches!(child.address.try_send(Die(None)), Err(actix::dev::SendError::Full(_))));
        child.abandon();
        watch.exits().await;
        child.address.do_send(Die(None));
        assert!(matches!(child.address.try_send(Die(None)), Err(actix::dev::SendError::Closed(_))));
    });
}

/// Fact 5: an actor with a pending interval outlives all its addresses.
#[test]
fn fact_an_interval_keeps_an_actor_alive_without_addresses() {
    struct Ticker(Rc<Cell<u32>>);
    impl Actor for Ticker {
        type Context = Context<Self>;
        fn started(&mut self, ctx: &mut Self::Context) {
            ctx.run_interval(Duration::from_millis(1), |this, _| this.0.set(this.0.get() + 1));
        }
    }
    in_system(|| async {
        let ticks = Rc::new(Cell::new(0));
        drop(Ticker(Rc::clone(&ticks)).start());
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(ticks.get() > 40);
    });
}

/// Fact 6: a mailbox drains without a budget, so that one busy actor stalls its thread.
#[test]
fn fact_a_mailbox_drains_without_a_budget() {
    struct Busy(Rc<Cell<u32>>);
    impl Actor for Busy {
        type Context = Context<Self>;
    }
    impl Handler<Die> for Busy {
        type Result = ();
        fn handle(&mut self, _: Die, _: &mut Self::Context) {
            self.0.set(self.0.get() + 1);
        }
    }
    in_system(|| async {
        let handled = Rc::new(Cell::new(0));
        let address = Busy(Rc::clone(&handled)).start();
        (0..10_000).for_each(|_| address.do_send(Die(None)));
        tokio::task::yield_now().await;
        assert_eq!(handled.get(), 10_000, "all of them before anybody else had a turn");
    });
}
