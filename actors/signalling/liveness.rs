//! Whether the far end of a TCP connection is there: keep-alive on every connection, and a question that its kernel answers.
//!
//! Bytes that a socket took are not sent. A keep-alive probe (RFC 9293 section 3.8.4) is invisible to whoever uses the
//! connection, TLS or not, and costs a round trip: the far end's kernel acknowledges it, resets the connection, or is not
//! there. Invariant: `is_alive` answers within [`ALIVE_WITHIN`], and `true` only for an acknowledgement that came after it was
//! asked. Linux: `tcp(7)`.

use std::os::fd::AsFd;
use std::time::Duration;

use nix::libc;
use nix::sys::socket::{GetSockOpt, SetSockOpt, sockopt};
use nix::{getsockopt_impl, sockopt_impl};

/// A connection without traffic is probed this often: load balancers forget one after 350 s, home routers sooner.
pub const KEEP_ALIVE: Duration = Duration::from_secs(25);
/// Probes without an answer before the connection is given up.
const PROBES: u32 = 3;
/// The pause between two of them.
const PROBE_EVERY: Duration = Duration::from_secs(5);
/// How long written bytes may stay unacknowledged before the connection is given up (RFC 5482).
pub const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(8);
/// How long the far end has to show that it is there.
pub const ALIVE_WITHIN: Duration = Duration::from_secs(2);
/// How often the kernel is asked meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(10);

sockopt_impl!(
    /// What the kernel knows of a connection.
    TcpInfo,
    GetOnly,
    libc::IPPROTO_TCP,
    libc::TCP_INFO,
    libc::tcp_info
);

/// Keeps a connection alive, and finds out in time when it is not. A system that knows an option not serves without it.
pub(super) fn keep_alive(socket: &impl AsFd) {
    let seconds = |time: Duration| time.as_secs() as u32;
    let _ = sockopt::KeepAlive.set(socket, &true);
    let _ = sockopt::TcpKeepIdle.set(socket, &seconds(KEEP_ALIVE));
    let _ = sockopt::TcpKeepInterval.set(socket, &seconds(PROBE_EVERY));
    let _ = sockopt::TcpKeepCount.set(socket, &PROBES);
    let _ = sockopt::TcpUserTimeout.set(socket, &(UNACKNOWLEDGED_MAX.as_millis() as u32));
}

/// Asks the far end's kernel whether it is there.
pub(super) async fn is_alive(socket: impl AsFd) -> bool {
    let asked = crate::now();
    // The kernel probes a connection that was idle for this long: at once, or a second after the last segment.
    let _ = sockopt::TcpKeepIdle.set(&socket, &1);
    let alive = loop {
        match acknowledged_ago(&socket) {
            None => break false,
            Some(ago) if ago < (crate::now() - asked) => break true,
            Some(_) if (crate::now() - asked) >= ALIVE_WITHIN => break false,
            Some(_) => tokio::time::sleep(LOOK_EVERY).await,
        }
    };
    let _ = sockopt::TcpKeepIdle.set(&socket, &(KEEP_ALIVE.as_secs() as u32));
    alive
}

/// How long ago the far end last acknowledged anything; `None` when the connection is not established any more.
fn acknowledged_ago(socket: &impl AsFd) -> Option<Duration> {
    /// `TCP_ESTABLISHED` of the kernel.
    const ESTABLISHED: u8 = 1;
    let info = TcpInfo.get(socket).ok()?;
    (info.tcpi_state == ESTABLISHED).then(|| Duration::from_millis(info.tcpi_last_ack_recv.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let far = TcpStream::connect(listener.local_addr().expect("an address"));
        let (near, far) = tokio::join!(listener.accept(), far);
        (near.expect("accepted").0, far.expect("connected"))
    }

    /// The case "an idle flow in front of a load balancer that forgets after 350 s".
    #[tokio::test]
    async fn an_idle_flow_is_kept_alive_before_a_load_balancer_forgets_it() {
        let (near, _far) = pair().await;
        keep_alive(&near);
        assert!(sockopt::KeepAlive.get(&near).expect("set"));
        assert!(sockopt::TcpKeepIdle.get(&near).expect("set") < 350);
        assert!(is_alive(&near).await);
        assert!(sockopt::TcpKeepIdle.get(&near).expect("set") > 1, "a question leaves no chatter behind");
    }

    #[tokio::test]
    async fn a_far_end_that_is_there_is_known_to_be_and_reads_nothing_of_it() {
        let (near, far) = pair().await;
        keep_alive(&near);
        assert!(is_alive(&near).await);
        assert!(far.try_read(&mut [0; 8]).is_err(), "a probe is not data");
    }

    #[tokio::test]
    async fn a_far_end_that_closed_or_reset_is_not_there() {
        let (near, far) = pair().await;
        drop(far);
        near.readable().await.expect("the end");
        assert!(!is_alive(&near).await, "closed");
        let (mut near, far) = pair().await;
        near.write_all(b"unread").await.expect("written");
        far.readable().await.expect("it is there");
        drop(far); // with something unread: a reset
        let _ = near.readable().await;
        assert!(!is_alive(&near).await, "reset");
    }
}
