//! The body of a form (`application/x-www-form-urlencoded`), read in bounded time into bounded space, few at once.
//!
//! Invariant: who sends slowly holds up nobody at another address; what was sent is in no problem.

use std::net::IpAddr;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{Bytes, Payload};

use crate::problem::Problem;
use crate::shares::{Shares, network};

/// When who found no place may send it again.
const COME_AGAIN: Duration = Duration::from_secs(1);

/// What the forms of some page may take.
pub(crate) struct FormBody {
    /// Most bytes of one.
    pub(crate) bytes_max: usize,
    /// The longest that one may take to arrive.
    pub(crate) within: Duration,
    /// Forms that are read at once, and of these those from one address.
    pub(crate) shares: &'static Shares<[u8; 8]>,
}

impl FormBody {
    /// What a request from an address sends.
    pub(crate) async fn read(self, request: &HttpRequest, payload: Payload, from: IpAddr) -> Result<Bytes, Problem> {
        let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "this page takes what its own form sends"));
        }
        let busy = || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too many forms are being read: send it again");
        let _place = self.shares.place(network(from)).map_err(|_| busy().retry_after(COME_AGAIN))?;
        let broken = || Problem::new(StatusCode::BAD_REQUEST, "the form broke off: send it again");
        let late = || Problem::new(StatusCode::REQUEST_TIMEOUT, "the form did not come in time: send it again");
        let long = || {
            let why = format!("the form has more than {} bytes: write less into it", self.bytes_max);
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, why)
        };
        let arrived = tokio::time::timeout(self.within, payload.to_bytes_limited(self.bytes_max)).await;
        arrived.map_err(|_| late())?.map_err(|_| long())?.map_err(|_| broken())
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use actix_web::{FromRequest, dev, error};
    use futures_util::{FutureExt, Stream, stream};

    use super::*;

    async fn payload(never_comes: bool) -> Payload {
        let request = TestRequest::default().to_http_request();
        let never = stream::pending::<Result<Bytes, error::PayloadError>>();
        let mut payload = match never_comes {
            true => dev::Payload::Stream { payload: Box::pin(never) as std::pin::Pin<Box<dyn Stream<Item = _>>> },
            false => TestRequest::default().set_payload("a=1").to_http_parts().1,
        };
        Payload::from_request(&request, &mut payload).await.expect("a payload")
    }

    #[actix_web::test]
    async fn who_sends_slowly_holds_up_those_at_the_same_address_alone() {
        static SHARES: Shares<[u8; 8]> = Shares::of(32, 4);
        let request = TestRequest::post().insert_header((CONTENT_TYPE, "application/x-www-form-urlencoded"));
        let request = request.to_http_request();
        let body = || FormBody { bytes_max: 100, within: Duration::from_secs(10), shares: &SHARES };
        let (one, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let mut slow = vec![];
        for _ in 0..4 {
            let mut reading = Box::pin(body().read(&request, payload(true).await, one));
            assert!((&mut reading).now_or_never().is_none(), "it waits");
            slow.push(reading);
        }
        let refused = body().read(&request, payload(false).await, one).await.expect_err("no place");
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(body().read(&request, payload(false).await, other).await.expect("a place"), "a=1");
        drop(slow);
        assert_eq!(body().read(&request, payload(false).await, one).await.expect("a place"), "a=1");
    }
}
