//! The way of every request: who asks, whether they may, what it says, what is answered.
//!
//! Invariant: no request reaches an answerer but by [`serve`], which asks in this order: is somebody signed in (401), may they (403), is
//! there room (503), does the request say what its route asks for (400, 406, 408, 413, 415, 428). Of these nothing depends on whose
//! the thing is that is asked for. An answer comes within [`ANSWER_WITHIN`].

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use actix_web::http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, TRANSFER_ENCODING};
use actix_web::http::{Method, StatusCode};
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use bellhop_tenancy::access::{Author, SignedIn};
use bellhop_tenancy::store::KeyedRequest;

use super::asked::{Asked, Body, read_query};
use super::idempotency;
use super::room::{Place, Room};
use super::route::{Gives, Outcome, Route, Takes};
use super::{Ports, Presence, answers, body, conditions, of_file};
use crate::problem::Problem;

/// How long an answer may take, its body not counted.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// How long what has begun under a key may take, whoever waits for it: more than the longest that a store may.
const SETTLED_WITHIN: Duration = Duration::from_secs(90);
/// When to come again.
const COME_AGAIN: Duration = Duration::from_secs(1);

/// Everything that requests are answered with.
pub(super) struct House {
    pub(super) ports: Arc<Ports>,
    pub(super) routes: Vec<Route>,
    room: Room,
    /// For what waits for somebody's service.
    trials: Room,
}

impl House {
    pub(super) fn new(ports: Arc<Ports>, routes: Vec<Route>) -> Self {
        Self { ports, routes, room: Room::for_requests(), trials: Room::for_trials() }
    }

    /// The methods of a path, as `Allow` lists them.
    fn allowed(&self, path: &str) -> String {
        let methods = self.routes.iter().filter(|route| route.path == path).map(|route| route.method.as_str());
        methods
            .flat_map(|method| if method == "GET" { vec!["GET", "HEAD"] } else { vec![method] })
            .collect::<Vec<_>>()
            .join(", ")
    }
}

/// Answers a request under a path of the table.
pub(super) async fn serve(
    house: Arc<House>,
    path: &'static str,
    request: HttpRequest,
    payload: Payload,
) -> HttpResponse {
    let id = answers::request_id();
    let method = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
    let Some(at) = house.routes.iter().position(|route| route.path == path && route.method == *method) else {
        return answers::finish(Problem::method_not_allowed(&house.allowed(path)).error_response(), &id);
    };
    let who = house.ports.door.who(&request).await;
    let line = Line::of(&house.routes[at], who.as_ref().ok(), &id);
    let outcome = match who {
        Err(problem) => line.ends(Err(problem)),
        Ok(by) => match admitted(&house, at, &by, &request, payload).await {
            Err(problem) => line.ends(Err(problem)),
            Ok(admitted) => carried_out(house, at, admitted, line).await,
        },
    };
    let response = outcome.map_or_else(|problem| problem.error_response(), |given| answers::answer(&request, given));
    answers::finish(response, &id)
}

/// One line in the log for each request that may have changed something: who asked what, and what came of it. Never what it said.
pub(super) struct Line {
    is_written: bool,
    request: String,
    method: Method,
    route: &'static str,
    user: String,
    tenant: String,
    began: Instant,
    status: Option<StatusCode>,
}

impl Line {
    pub(super) fn of(route: &Route, who: Option<&Author>, id: &str) -> Self {
        let signed_in = who.map(|by| &by.signed_in);
        let user = signed_in.and_then(SignedIn::user).map(|user| user.to_string()).unwrap_or_default();
        let tenant = signed_in.and_then(|who| who.scope().tenant());
        Self {
            is_written: !route.method.is_safe(),
            request: id.to_owned(),
            method: route.method.clone(),
            route: route.path,
            user,
            tenant: tenant.map(|tenant| tenant.to_string()).unwrap_or_default(),
            began: Instant::now(),
            status: None,
        }
    }

    /// This came of it.
    pub(super) fn ends(mut self, outcome: Outcome) -> Outcome {
        self.status = Some(match &outcome {
            Ok(given) => given.status,
            Err(problem) => problem.status(),
        });
        outcome
    }
}

/// Whoever asks may go away at any moment: then the line says so.
impl Drop for Line {
    fn drop(&mut self) {
        if !self.is_written {
            return;
        }
        let Self { request, route, user, tenant, .. } = self;
        let (method, took_ms) = (self.method.as_str(), self.began.elapsed().as_millis() as u64);
        match self.status.map(|status| status.as_u16()) {
            Some(status) => tracing::info!(request, method, route, status, user, tenant, took_ms, "REST request"),
            None => tracing::info!(
                request,
                method,
                route,
                user,
                tenant,
                took_ms,
                "REST request: it ended without an answer, as whoever sent it went away, or it broke down"
            ),
        }
    }
}

/// Room for a request, and for a trial if it is one.
type Places = (Place, Option<Place>);

/// A request that may be carried out.
struct Admitted {
    asked: Asked,
    /// Its `Idempotency-Key`, if it has one.
    keyed: Option<KeyedRequest>,
    room: Places,
}

/// Room for a request of somebody who may ask it.
pub(super) fn entered(house: &House, route: &Route, by: &Author) -> Result<Place, Problem> {
    if by.signed_in.role() < route.least {
        return Err(Problem::forbidden("your role does not allow this"));
    }
    if route.in_person && by.signed_in.is_by_token() {
        return Err(Problem::forbidden("a token cannot do this: sign in with a browser"));
    }
    place(&house.room, by, "too many requests are being answered")
}

/// Room for a trial, if a request that has been read is one.
pub(super) fn tried(house: &House, route: &Route, by: &Author) -> Result<Option<Place>, Problem> {
    route.is_trial.then(|| place(&house.trials, by, "too many services are being tried")).transpose()
}

fn place(room: &Room, by: &Author, why: &str) -> Result<Place, Problem> {
    let full = || Problem::new(StatusCode::SERVICE_UNAVAILABLE, why).retry_after(COME_AGAIN);
    room.place(by.signed_in.scope().tenant()).ok_or_else(full)
}

/// A request that has been read, unless it would change what the file says.
pub(super) fn not_of_file(route: &Route, asked: Asked) -> Result<Asked, Problem> {
    let resource = route.path.split('/').nth(1).unwrap_or_default();
    // A call is nothing that the file says.
    match !route.method.is_safe() && !route.is_trial && resource != "calls" && asked.is_of_file(resource) {
        true => Err(of_file::refused()),
        false => Ok(asked),
    }
}

/// Milliseconds since 1970.
pub(super) fn unix_now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

/// The request of somebody who is signed in.
async fn admitted(
    house: &House,
    at: usize,
    by: &Author,
    request: &HttpRequest,
    payload: Payload,
) -> Result<Admitted, Problem> {
    let route = &house.routes[at];
    let of_request = entered(house, route, by)?;
    let headers = request.headers();
    accepts(headers, route)?;
    let query = read_query(request.query_string(), route.query.iter().map(|parameter| parameter.name))?;
    let path = request.match_info().iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let (ports, at_unix_ms) = (house.ports.clone(), unix_now_ms());
    let (last_event, range, presence) = reading_on(house, route, request)?;
    let (seen, body, by_whom) = (vec![], Body::Nothing, by.clone());
    let unread = Asked { ports, by: by_whom, at_unix_ms, path, query, seen, body, last_event, range, presence };
    // What nobody changes has no state to name.
    let asked = not_of_file(route, unread)?;
    let seen = if route.conditional { conditions::if_match(headers)? } else { vec![] };
    let key = if route.takes_keys() { idempotency::key(headers)? } else { None };
    let (body, fingerprint) = taken(route, headers, payload).await?;
    let of_trial = tried(house, route, by)?;
    let keyed = key.map(|key| {
        let asked = format!("{} {}?{}", route.method, request.path(), request.query_string());
        idempotency::request(by, &asked, &key, &fingerprint, at_unix_ms)
    });
    Ok(Admitted { asked: Asked { seen, body, ..asked }, keyed, room: (of_request, of_trial) })
}

/// What a request says of reading in parts, or on and on.
fn reading_on(house: &House, route: &Route, request: &HttpRequest) -> Result<ReadingOn, Problem> {
    let text = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let is_stream = matches!(route.gives, Gives::Text("text/event-stream"));
    let presence = is_stream.then(|| house.ports.door.presence(request)).transpose()?;
    let last = text("Last-Event-ID").filter(|last| is_stream && !last.is_empty());
    let bad = |_| Problem::new(StatusCode::BAD_REQUEST, "`Last-Event-ID` is no `id` of an event that was sent here");
    let last = last.map(|last| last.parse().map_err(bad)).transpose()?;
    // Nothing that is sent in parts has a mark that `If-Range` could name.
    let range = text("Range").filter(|_| !request.headers().contains_key("If-Range")).map(str::to_owned);
    Ok((last, range, presence))
}

/// The last event that is known, the part that is wanted, and whoever asks.
type ReadingOn = (Option<u64>, Option<String>, Option<Box<dyn Presence>>);

async fn carried_out(house: Arc<House>, at: usize, admitted: Admitted, line: Line) -> Outcome {
    let Admitted { asked, keyed, room } = admitted;
    let Some(keyed) = keyed else {
        return line.ends(within(ANSWER_WITHIN, (house.routes[at].answerer)(asked)).await);
    };
    // What has begun under a key is settled, though whoever asked went away or was told that no answer came.
    let settled = actix_web::rt::spawn(async move {
        let (_room, route, by) = (room, &house.routes[at], asked.by.clone());
        let carried_out = within(SETTLED_WITHIN, (route.answerer)(asked));
        line.ends(idempotency::once(&house.ports.store, &by, route, &keyed, carried_out).await)
    });
    within(ANSWER_WITHIN, async { settled.await.unwrap_or_else(|_| Err(Problem::internal())) }).await
}

/// An outcome that comes in time.
pub(super) async fn within(limit: Duration, outcome: impl Future<Output = Outcome>) -> Outcome {
    tokio::time::timeout(limit, outcome).await.unwrap_or_else(|_| {
        let detail = format!("no answer came within {} s: look what came of it", limit.as_secs());
        Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(COME_AGAIN))
    })
}

/// Whether the answer is in a form that the request accepts.
fn accepts(headers: &HeaderMap, route: &Route) -> Result<(), Problem> {
    let given = match route.gives {
        Gives::Nothing => return Ok(()),
        Gives::Text(media_type) | Gives::Parts(media_type) => media_type.split(';').next().unwrap_or(media_type),
        Gives::One(_) | Gives::Made(_) | Gives::Page(_) | Gives::All(_) => "application/json",
    };
    let mut asked = headers.get_all(ACCEPT).peekable();
    if asked.peek().is_none() {
        return Ok(());
    }
    let family = format!("{}/*", given.split('/').next().unwrap_or(given));
    let fits = |range: &str| {
        let mut parts = range.split(';').map(str::trim);
        let range = parts.next().unwrap_or_default().to_ascii_lowercase();
        let refused = parts.any(|part| part.strip_prefix("q=").and_then(|q| q.parse::<f32>().ok()) == Some(0.0));
        !refused && (range == given || range == family || range == "*/*")
    };
    if asked.any(|value| value.to_str().unwrap_or_default().split(',').any(fits)) {
        return Ok(());
    }
    Err(Problem::new(StatusCode::NOT_ACCEPTABLE, format!("the answer is {given}")))
}

/// What a request says, and a mark of it.
async fn taken(route: &Route, headers: &HeaderMap, mut payload: Payload) -> Result<(Body, Vec<u8>), Problem> {
    let (media_type, bytes_max) = match route.takes {
        Takes::Nothing => (None, 0),
        Takes::Json(_) => (Some("application/json"), body::JSON_BYTES_MAX),
        Takes::MergePatch(_) => (Some("application/merge-patch+json"), body::JSON_BYTES_MAX),
        Takes::Csv => (Some("text/csv"), body::CSV_BYTES_MAX),
    };
    let Some(media_type) = media_type else {
        // Nobody waits for one that is not taken.
        let told = headers.get(CONTENT_LENGTH).is_some_and(|length| length != "0");
        if told || headers.contains_key(TRANSFER_ENCODING) {
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "no body is taken here"));
        }
        let nothing = body::read(&mut payload, 0).await;
        return nothing.map(|bytes| (Body::Nothing, bytes)).map_err(|problem| match problem.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "no body is taken here"),
            _ => problem,
        });
    };
    let told = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut parts = told.split(';').map(|part| part.trim().to_ascii_lowercase());
    let is_utf8 =
        |part: String| part.is_empty() || !part.starts_with("charset") || part.replace('"', "") == "charset=utf-8";
    if parts.next().as_deref() != Some(media_type) || !parts.all(is_utf8) {
        let problem = Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("send {media_type} in UTF-8"));
        return Err(problem);
    }
    let long = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if long.is_some_and(|bytes| bytes > bytes_max) {
        return Err(body::too_large(bytes_max));
    }
    let bytes = body::read(&mut payload, bytes_max).await?;
    let fingerprint = idempotency::digest(&bytes);
    let body = if matches!(route.takes, Takes::Csv) { Body::Csv(bytes) } else { Body::Json(body::document(&bytes)?) };
    Ok((body, fingerprint))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rest::given::Given;
    use actix_web::http::header::HeaderValue;
    use bellhop_tenancy::access::Role;

    #[test]
    fn an_answer_comes_in_a_form_that_is_accepted_or_not_at_all() {
        let json = Route::get("/x", Role::Viewer, "x", |_| async { Ok(Given::done()) }).gives::<String>();
        for (accepted, good) in [
            ("application/json", true),
            ("*/*", true),
            ("text/html, application/*;q=0.1", true),
            ("application/JSON; charset=utf-8", true),
            ("text/html", false),
            ("application/json;q=0", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(accepted));
            assert_eq!(accepts(&headers, &json).is_ok(), good, "{accepted}");
        }
    }
}
