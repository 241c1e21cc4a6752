//! Signing in by an identity provider (OpenID Connect Core 1.0 section 3.1), and accepting an invitation by it.
//!
//! Invariant: an account is the provider's issuer and subject, and no address or name that it tells: nobody becomes a user by it
//! but with an invitation. What came back is looked at in the browser alone that began, and its code is shown to the provider once.

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, LOCATION, SET_COOKIE};
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
use super::visitor::must_be_private;
use super::{SignIn, invitations};
use crate::API;
use crate::problem::{Fault, Problem};

/// Where a browser comes back to, below [`API`].
const CALLBACK: &str = "/sign-in/openid-connect/callback";
/// Where a browser goes afterwards that wants nothing else: it sees who it is.
const RETURN_TO: &str = "/api/v1/session";
/// Most characters of what a provider calls the reason of a refusal.
const ERROR_SHOWN: usize = 60;

/// What somebody wants who begins.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BeginBody {
    /// The path, below `http.public_url`, that the browser goes to afterwards; `/api/v1/session` if it is left out.
    return_to: Option<String>,
    /// What stood behind the `#` of the link, for who accepts an invitation.
    invitation: Option<String>,
    /// With an invitation: how they want to be called; what it proposes if it is left out.
    login: Option<String>,
}

/// Where the browser has to go.
#[derive(Serialize, ToSchema)]
pub(super) struct SentAway {
    /// A page of the provider.
    location: String,
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
    let arrival = sign_in.arrival_of_nobody(&request)?;
    let provider = sign_in.provider()?;
    sign_in.limits.provider(arrival.address)?;
    let wanted = sign_in.wanted(body.0, arrival).await?;
    let began = Authorization::begin(&sign_in, wanted);
    let location = provider.authorization_url(&began.request(sign_in.callback())).await;
    let location = location.map_err(|why| sign_in.not_identified(&why))?;
    let mut response = answer(StatusCode::OK, &SentAway { location });
    response.headers_mut().append(SET_COOKIE, began.cookie(&sign_in));
    Ok(response)
}

/// `GET /sign-in/openid-connect/callback`: whoever comes back is signed in and sent on.
async fn come_back(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let sign_in = SignIn::of(&request)?;
    let arrival = sign_in.arrival(&request)?;
    must_be_private(arrival)?;
    sign_in.provider()?;
    sign_in.limits.provider(arrival.address)?;
    let unreadable =
        |_| Problem::new(StatusCode::BAD_REQUEST, "what came back from the identity provider cannot be read");
    let came = Query::<CameBack>::from_query(request.query_string()).map_err(unreadable)?.into_inner();
    let began = Authorization::of(&sign_in, &request);
    let Some(began) = began.filter(|began| came.state.as_deref().is_some_and(|state| began.is_of(state))) else {
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "this sign-in was not begun in this browser, or it was begun too long ago: begin it again",
        ));
    };
    // It is over, but where nobody could be asked: then the code may be good, and the same page is loaded again.
    let mut response = match sign_in.arrived(&request, arrival, &began, came).await {
        Ok(response) => response,
        Err(problem) if problem.status() == StatusCode::SERVICE_UNAVAILABLE => return Err(problem),
        Err(problem) => problem.error_response(),
    };
    let taken_back = Cookie::Authorization.taken_back(sign_in.settings.is_secure());
    response.headers_mut().append(SET_COOKIE, taken_back);
    Ok(response)
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
                let (_, cookie) = self.noted(&login, &from, session).await?;
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
