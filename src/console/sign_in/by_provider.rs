//! Signing in by an identity provider (OpenID Connect Core 1.0 section 3.1), and accepting an invitation by it.
//!
//! Invariant: an account is the provider's issuer and subject, and no address or name that it tells: nobody becomes a user by it
//! but with an invitation. What came back is looked at in the browser alone that began, and its code is shown to the provider once.

use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT, CACHE_CONTROL, HeaderValue, LOCATION, SET_COOKIE};
use actix_web::web::Query;
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};
use bellhop_tenancy::Secret;
use bellhop_tenancy::id::Id;
use bellhop_tenancy::identity_provider::{IdentityProvider, NotIdentified};
use bellhop_tenancy::store::NewUser;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::arrival::Arrival;
use super::authorization::{Authorization, Wanted, refused_path};
use super::body::{Body, answer};
use super::cookie::Cookie;
use super::resource::Served;
use super::sessions::Began;
use super::visitor::must_be_private;
use super::{SignIn, invitations};
use crate::API;
use crate::problem::{Fault, Problem};

/// Where a browser comes back to, below [`API`].
const CALLBACK: &str = "/sign-in/openid-connect/callback";
/// Where a browser goes afterwards that wants nothing else.
const RETURN_TO: &str = "/";
/// Most characters of what a provider calls the reason of a refusal.
const ERROR_SHOWN: usize = 60;

/// What somebody wants who begins.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BeginBody {
    /// The path, below `http.public_url`, that the browser goes to afterwards; the first page if it is left out.
    pub(crate) return_to: Option<String>,
    /// What stood behind the `#` of the link, for who accepts an invitation.
    pub(crate) invitation: Option<String>,
    /// With an invitation: how they want to be called; what it proposes if it is left out.
    pub(crate) login: Option<String>,
}

/// Where the browser has to go.
#[derive(Serialize, ToSchema)]
pub(crate) struct SentAway {
    /// A page of the provider.
    pub(crate) location: String,
}

/// What came back (RFC 6749 section 4.1.2, RFC 9207); others of a provider are not looked at.
#[derive(Deserialize)]
struct CameBack {
    state: Option<String>,
    code: Option<String>,
    error: Option<String>,
    iss: Option<String>,
}

/// `POST /sign-in/openid-connect`
async fn begin(request: HttpRequest, body: Body<BeginBody>) -> Result<HttpResponse, Problem> {
    let sign_in = SignIn::of(&request)?;
    let (sent_away, cookie) = sign_in.sends_away(&request, body.0).await?;
    let mut response = answer(StatusCode::OK, &sent_away);
    response.headers_mut().append(SET_COOKIE, cookie);
    Ok(response)
}

/// `GET /sign-in/openid-connect/callback`: whoever comes back is signed in and sent on.
async fn come_back(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let sign_in = SignIn::of(&request)?;
    let began = match sign_in.came_back(&request) {
        Ok((arrival, began, came)) => sign_in.arrived(&request, arrival, &began, came).await,
        Err(problem) => return Ok(refused(&sign_in, &request, &problem)),
    };
    // It is over, but where nobody could be asked: then the code may be good, and the same page is loaded again.
    let mut response = match began {
        Ok(response) => response,
        Err(problem) if problem.status() == StatusCode::SERVICE_UNAVAILABLE => {
            return Ok(refused(&sign_in, &request, &problem));
        }
        Err(problem) => refused(&sign_in, &request, &problem),
    };
    let taken_back = Cookie::Authorization.taken_back(sign_in.settings.is_secure());
    response.headers_mut().append(SET_COOKIE, taken_back);
    Ok(response)
}

/// What whoever came back in vain is told.
fn refused(sign_in: &SignIn, request: &HttpRequest, problem: &Problem) -> HttpResponse {
    let accepts = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match sign_in.settings.page_of_problem.filter(|_| accepts.contains("text/html")) {
        Some(page) => page(&sign_in.settings, problem),
        None => problem.error_response(),
    }
}

/// Nobody is signed in, and why.
struct Unknown {
    /// The login of who may not; empty where nobody is known.
    login: String,
    problem: Problem,
}

impl From<Problem> for Unknown {
    fn from(problem: Problem) -> Self {
        Self { login: String::new(), problem }
    }
}

impl SignIn {
    fn provider(&self) -> Result<&dyn IdentityProvider, Problem> {
        self.ports.provider.as_deref().ok_or_else(|| {
            let detail =
                "this server has no identity provider: sign in by a password, or configure `http.openid_connect`";
            Problem::new(StatusCode::NOT_FOUND, detail)
        })
    }

    /// Sends a browser to the provider: where, and the cookie by which it comes back.
    pub(crate) async fn sends_away(
        &self,
        request: &HttpRequest,
        body: BeginBody,
    ) -> Result<(SentAway, HeaderValue), Problem> {
        let arrival = self.arrival_of_nobody(request)?;
        let provider = self.provider()?;
        self.limits.provider(arrival.address)?;
        let wanted = self.wanted(body, arrival).await?;
        let began = Authorization::begin(self, wanted);
        let location = provider.authorization_url(&began.request(self.callback())).await;
        let location = location.map_err(|why| self.not_identified(&why))?;
        Ok((SentAway { location }, began.cookie(self)))
    }

    /// What a browser brings back, if it is the one that began.
    fn came_back(&self, request: &HttpRequest) -> Result<(Arrival, Authorization, CameBack), Problem> {
        let arrival = self.arrival(request)?;
        must_be_private(arrival)?;
        self.provider()?;
        self.limits.provider(arrival.address)?;
        let unreadable =
            |_| Problem::new(StatusCode::BAD_REQUEST, "what came back from the identity provider cannot be read");
        let came = Query::<CameBack>::from_query(request.query_string()).map_err(unreadable)?.into_inner();
        let began = Authorization::of(self, request);
        match began.filter(|began| came.state.as_deref().is_some_and(|state| began.is_of(state))) {
            Some(began) => Ok((arrival, began, came)),
            None => Err(Problem::new(
                StatusCode::BAD_REQUEST,
                "this sign-in was not begun in this browser, or it was begun too long ago: begin it again",
            )),
        }
    }

    fn callback(&self) -> String {
        format!("{}{API}{CALLBACK}", self.settings.public_url)
    }

    async fn wanted(&self, body: BeginBody, arrival: Arrival) -> Result<Wanted, Problem> {
        let return_to = body.return_to.unwrap_or_else(|| RETURN_TO.to_owned());
        let mut faults = Vec::from_iter(refused_path(&return_to).map(|why| Fault::at("#/return_to", why)));
        let invitation = match body.invitation {
            Some(secret) => {
                let (_, proposed) = self.shown_invitation(&secret, arrival).await?;
                let login = body.login.unwrap_or(proposed);
                faults.extend(invitations::refused_login(&login).map(|why| Fault::at("#/login", why)));
                Some((secret, login))
            }
            None => {
                let stray = body.login.map(|_| Fault::at("#/login", "is chosen with an invitation alone"));
                faults.extend(stray);
                None
            }
        };
        if faults.is_empty() { Ok(Wanted { return_to, invitation }) } else { Err(Problem::faults(faults)) }
    }

    /// Somebody came back to the browser that began.
    async fn arrived(
        &self,
        request: &HttpRequest,
        arrival: Arrival,
        began: &Authorization,
        came: CameBack,
    ) -> Result<HttpResponse, Problem> {
        let from = arrival.address.to_string();
        match self.identified(&from, began, came).await {
            Ok((user, login)) => {
                let session = self.begin_session(request, arrival, user).await;
                let Began { cookie, .. } = self.noted(&login, &from, session).await?;
                let to = format!("{}{}", self.settings.public_url, began.wanted.return_to);
                let mut response = HttpResponse::SeeOther();
                response.insert_header((LOCATION, to)).insert_header((CACHE_CONTROL, "no-store"));
                Ok(response.append_header((SET_COOKIE, cookie)).finish())
            }
            Err(Unknown { login, problem }) => {
                if problem.status().is_client_error() {
                    self.failed(&login, &from).await;
                }
                Err(problem)
            }
        }
    }

    /// Which user the provider names: its identifier and login.
    async fn identified(&self, from: &str, began: &Authorization, came: CameBack) -> Result<(Id, String), Unknown> {
        let provider = self.provider()?;
        let refused = |why: &str| self.not_identified(&NotIdentified::Refused(why.to_owned()));
        if came.iss.is_some_and(|issuer| issuer != provider.issuer()) {
            return Err(refused("another one answered").into());
        }
        if let Some(error) = came.error {
            let plain = error.chars().filter(|c| c.is_ascii_alphanumeric() || "_-".contains(*c));
            return Err(refused(&format!("`{}`", plain.take(ERROR_SHOWN).collect::<String>())).into());
        }
        let code = came.code.filter(|code| !code.is_empty()).ok_or_else(|| refused("it gave no code"))?;
        // Before the code is shown: it is good once.
        let invited = match &began.wanted.invitation {
            Some((secret, login)) => {
                let (hash, _) = self.invited(secret).await?.ok_or_else(invitations::no_such_invitation)?;
                Some((hash, login.clone()))
            }
            None => None,
        };
        let asked = began.request(self.callback());
        let identity = provider.identify(&asked, &Secret::new(code)).await;
        let identity = identity.map_err(|why| self.not_identified(&why))?;
        if let Some((hash, login)) = invited {
            let open_id = Some((identity.issuer, identity.subject));
            let user = NewUser { login, password_phc: None, open_id };
            let user = self.accepted(&hash, user, from).await?;
            return Ok((user.id, user.login));
        }
        let known =
            self.ports.sign_ins.open_id_user(&identity.issuer, &identity.subject).await.map_err(Problem::from)?;
        match known {
            Some(user) if user.enabled => Ok((user.id, user.login)),
            // Who may not sign in is told no more than who is nobody.
            other => {
                let why = "nobody here is who the identity provider names: open the link of an invitation first";
                let login = other.map(|user| user.login).unwrap_or_default();
                Err(Unknown { login, problem: Problem::forbidden(why) })
            }
        }
    }

    /// Nobody is signed in; a server that cannot ask says so in its log too.
    fn not_identified(&self, why: &NotIdentified) -> Problem {
        match why {
            NotIdentified::Away(_) => {
                tracing::warn!(%why, "nobody can sign in by the identity provider: see `http.openid_connect`");
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, why.to_string())
            }
            NotIdentified::Refused(_) => Problem::unauthorized(why.to_string()),
        }
    }
}

/// Its resources.
pub(super) fn configure(config: &mut web::ServiceConfig) {
    config
        .service(Served::at("/sign-in/openid-connect").post(begin).whole())
        .service(Served::at(CALLBACK).get(come_back).whole());
}
