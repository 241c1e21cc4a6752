//! Sessions on virtual time: who asks STS, when, and what is used meanwhile.

use std::collections::VecDeque;

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

/// An STS that answers as it is told, each time after a while, and numbers its sessions.
#[derive(Clone, Default)]
struct Sts(Arc<Mutex<Script>>);

#[derive(Default)]
struct Script {
    /// Refusals that come before anything good.
    refusals: VecDeque<Cause>,
    at_once: usize,
    at_once_most: usize,
    asked: usize,
    began: usize,
}

const TAKES: Duration = Duration::from_millis(200);

impl Sts {
    fn script(&self) -> MutexGuard<'_, Script> {
        self.0.lock().expect("nobody panics")
    }

    fn refuses(&self, times: usize) {
        self.script().refusals.extend(std::iter::repeat_n(Cause::Throttled, times));
    }

    fn asked(&self) -> usize {
        self.script().asked
    }

    fn session(&self) -> RoleSession {
        let sts = self.clone();
        RoleSession::begin(Box::new(move || {
            let sts = sts.clone();
            Box::pin(async move {
                {
                    let mut script = sts.script();
                    script.asked += 1;
                    script.at_once += 1;
                    script.at_once_most = script.at_once_most.max(script.at_once);
                }
                tokio::time::sleep(TAKES).await;
                let mut script = sts.script();
                script.at_once -= 1;
                if let Some(cause) = script.refusals.pop_front() {
                    return Err(cause);
                }
                script.began += 1;
                let id = format!("ASIA{}", script.began);
                Ok(Assumed { credentials: Credentials::new(id, "secret", None, None, "test"), lives: HOUR })
            })
        }))
    }
}

/// Lets so much time pass, and everybody have his turn.
async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}

#[tokio::test(start_paused = true)]
async fn a_session_is_renewed_five_minutes_before_its_end_and_nobody_waits_for_it() {
    let sts = Sts::default();
    let session = sts.session();
    assert_eq!(session.ready().await.as_deref(), Ok("ASIA1"), "the first is waited for");
    pass(HOUR - RENEW_BEFORE - TAKES).await;
    assert_eq!((session.ready().await.as_deref(), sts.asked()), (Ok("ASIA1"), 1));
    pass(TAKES * 3).await;
    let began = Instant::now();
    assert_eq!((session.ready().await.as_deref(), sts.asked()), (Ok("ASIA2"), 2));
    assert_eq!(began.elapsed(), Duration::ZERO, "it was there");
    pass(HOUR * 24).await;
    assert!((26..=28).contains(&sts.asked()), "{} in a day: about one in 55 minutes", sts.asked());
}

#[tokio::test(start_paused = true)]
async fn while_a_session_lives_it_is_used_whatever_becomes_of_its_renewal() {
    let sts = Sts::default();
    let session = sts.session();
    assert!(session.ready().await.is_ok());
    sts.refuses(1000);
    pass(HOUR - Duration::from_secs(1)).await;
    let began = Instant::now();
    assert_eq!(session.ready().await.as_deref(), Ok("ASIA1"));
    assert_eq!(began.elapsed(), Duration::ZERO);
    let renewals = sts.asked() - 1;
    assert!((4..=12).contains(&renewals), "{renewals} in five minutes: with longer and longer pauses");
    pass(Duration::from_secs(2)).await;
    assert_eq!(session.ready().await, Err(Cause::Throttled), "it is over, and there is no other");
    sts.script().refusals.clear();
    assert_eq!(session.ready().await.as_deref(), Ok("ASIA2"), "whoever needs one does not wait for the pause");
}

#[tokio::test(start_paused = true)]
async fn a_hundred_hand_offs_ask_once_and_share_what_comes() {
    let sts = Sts::default();
    sts.refuses(1);
    let session = sts.session();
    tokio::task::yield_now().await;
    let all = || async {
        let each = (0..100).map(|_| {
            let session = session.clone();
            tokio::spawn(async move { session.ready().await })
        });
        let mut came = vec![];
        for one in each.collect::<Vec<_>>() {
            came.push(one.await.expect("nobody panics"));
        }
        came
    };
    let came = all().await;
    assert!(came.iter().all(|one| *one == Err(Cause::Throttled)), "{came:?}");
    assert_eq!(sts.asked(), 1);
    let came = all().await;
    assert!(came.iter().all(|one| one.as_deref() == Ok("ASIA1")), "{came:?}");
    assert_eq!((sts.asked(), sts.script().at_once_most), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_over_before_its_time_is_asked_for_again() {
    let sts = Sts::default();
    let session = sts.session();
    let first = session.ready().await.expect("a session");
    session.forget(&first);
    assert_eq!(session.ready().await.as_deref(), Ok("ASIA2"));
    session.forget(&first);
    assert_eq!((session.ready().await.as_deref(), sts.asked()), (Ok("ASIA2"), 2), "another one's end ends nothing");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_nobody_has_is_renewed_no_more() {
    let sts = Sts::default();
    let session = sts.session();
    assert!(session.ready().await.is_ok());
    drop(session);
    pass(HOUR * 3).await;
    assert_eq!(sts.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn whoever_gives_up_waiting_leaves_the_way_free() {
    let sts = Sts::default();
    let session = sts.session();
    tokio::task::yield_now().await;
    let early = tokio::time::timeout(TAKES / 2, session.ready()).await;
    assert!(early.is_err(), "it takes longer");
    assert_eq!(session.ready().await.as_deref(), Ok("ASIA1"));
}
