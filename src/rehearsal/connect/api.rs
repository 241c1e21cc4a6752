//! What the stand-in's API does with a request: who it is from, whether that one may, and what comes of it.
//!
//! Invariant: in Amazon's order, so that a refusal says what Amazon's would: signature, policy, then what is asked for.

use std::collections::BTreeMap;

use actix_web::http::{Method, StatusCode};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};

use super::access::No;
use super::model::Operation;
use super::provisioning::Place;
use super::{Misbehaviour, StandIn, Written, sts};
use crate::sigv4::{self, Unverified};

/// What is asked for.
enum Asked {
    Update,
    Describe,
    AssumeRole,
    /// That something is set up.
    Provision(Operation),
}

impl Asked {
    fn of(request: &HttpRequest, body: &[u8]) -> Option<Self> {
        let service = sigv4::scope(request, sigv4::SERVICE).unwrap_or_default();
        if let Some(operation) = Operation::of(service, request, body) {
            return Some(Self::Provision(operation));
        }
        match (request.method(), request.path()) {
            (&Method::POST, "/contact/attributes") => Some(Self::Update),
            (&Method::GET, path) if path.starts_with("/instance/") && path.matches('/').count() == 2 => {
                Some(Self::Describe)
            }
            (&Method::POST, "/") if service != "iam" => Some(Self::AssumeRole),
            _ => None,
        }
    }

    /// As policies name it.
    fn action(&self) -> String {
        match self {
            Self::Update => "connect:UpdateContactAttributes".to_owned(),
            Self::Describe => "connect:DescribeInstance".to_owned(),
            Self::AssumeRole => "sts:AssumeRole".to_owned(),
            Self::Provision(operation) => operation.action(),
        }
    }

    /// The service that a request is signed for.
    fn service(&self) -> String {
        self.action().split(':').next().unwrap_or_default().to_owned()
    }
}

pub(super) async fn handle(stand_in: Data<StandIn>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let asked = Asked::of(&request, &body);
    let misbehaviour = stand_in.state().misbehave.pop_front();
    let answer = match misbehaviour {
        Some(Misbehaviour::Refuse(status, kind)) => Err((status, kind, "as rehearsed".to_owned())),
        Some(Misbehaviour::CarryOutAndHang) => {
            let _ = stand_in.update(&body);
            std::future::pending().await
        }
        Some(Misbehaviour::Delay(time)) => {
            actix_web::rt::time::sleep(time).await;
            stand_in.answer(asked.as_ref(), &request, &body)
        }
        None => stand_in.answer(asked.as_ref(), &request, &body),
    };
    let is_xml = match &asked {
        Some(asked) => ["sts", "iam"].contains(&asked.service().as_str()),
        None => sigv4::scope(&request, sigv4::SERVICE) == Some("iam"),
    };
    let good = if let Some(Asked::Provision(operation)) = &asked { operation.status() } else { 200 };
    let (status, kind, body) = match answer {
        Ok(body) => (good, None, body),
        Err((status, kind, why)) => {
            stand_in.state().refused.push((status, kind.to_owned()));
            let body = if is_xml { sts::error(kind, &why) } else { json!({ "message": why }).to_string() };
            (status, Some(kind), body)
        }
    };
    let mut response = HttpResponse::build(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
    if let Some(kind) = kind.filter(|_| !is_xml) {
        response.insert_header(("x-amzn-ErrorType", kind));
    }
    let date = actix_web::http::header::HttpDate::from(stand_in.now());
    let content = if is_xml { "text/xml" } else { "application/json" };
    response.insert_header(("Date", date.to_string())).content_type(content).body(body)
}

impl StandIn {
    fn answer(&self, asked: Option<&Asked>, request: &HttpRequest, body: &[u8]) -> Result<String, No> {
        let asked = asked.ok_or((404, "UnknownOperationException", "this is not rehearsed".to_owned()))?;
        let caller = self.caller(asked, request, body)?;
        if !self.state().access.may(&caller, &asked.action()) {
            let who = self.state().access.arn_of(&caller);
            let kind = if let Asked::AssumeRole = asked { "AccessDenied" } else { "AccessDeniedException" };
            return Err((403, kind, format!("User: {who} is not authorized to perform: {}", asked.action())));
        }
        match asked {
            Asked::Update => self.update(body).map(|()| "{}".to_owned()),
            Asked::Describe => self.describe(request.path()),
            Asked::AssumeRole => {
                let now = self.now();
                sts::assume_role(&mut self.state().access, &caller, body, now)
            }
            Asked::Provision(operation) => self.provision(*operation, request, body),
        }
    }

    fn provision(&self, operation: Operation, request: &HttpRequest, body: &[u8]) -> Result<String, No> {
        let input = operation.input(request, body).map_err(|why| (400, "InvalidRequestException", why))?;
        let instance = &self.0.instance;
        let place = Place {
            instance_arn: instance.to_string(),
            instance_id: &instance.instance_id,
            account: &instance.account,
            region: &instance.region,
        };
        let mut state = self.state();
        state.provisioning.push(operation.name().to_owned());
        match operation.action().starts_with("iam:") {
            true => state.provisioned.carry_out_iam(operation.name(), &input, &instance.account),
            false => state.provisioned.carry_out(operation.name(), &input, &place).map(|answer| answer.to_string()),
        }
    }

    /// The id of the key that a request is from.
    fn caller(&self, asked: &Asked, request: &HttpRequest, body: &[u8]) -> Result<String, No> {
        let (now, is_sts) = (self.now(), matches!(asked, Asked::AssumeRole));
        let unknown = if is_sts { "InvalidClientTokenId" } else { "UnrecognizedClientException" };
        let wrong = if is_sts { "SignatureDoesNotMatch" } else { "InvalidSignatureException" };
        let id = sigv4::key_id(request).unwrap_or_default().to_owned();
        let Some(signer) = self.state().access.signer(&id) else {
            let why = Unverified::UnknownKey.to_string();
            // Who does not sign at all is told so.
            return Err((403, if id.is_empty() { wrong } else { unknown }, why));
        };
        let service = asked.service();
        // IAM is one for all Regions and wants its own; to an endpoint of one's own the command line signs for that of its environment.
        let signed_for = sigv4::scope(request, sigv4::REGION).filter(|_| service == "iam");
        let region = signed_for.filter(|region| *region == "us-east-1").unwrap_or(&self.0.instance.region);
        let scope = sigv4::Scope { key: &signer.key, token: signer.token.as_deref(), region, service: &service };
        sigv4::verify(request, &sigv4::hash(body), &scope, now).map_err(|why| match why {
            Unverified::UnknownKey => (403, unknown, why.to_string()),
            _ => (403, wrong, why.to_string()),
        })?;
        if signer.ends.is_some_and(|ends| ends <= now) {
            return Err((403, "ExpiredTokenException", "The security token included in the request is expired".into()));
        }
        Ok(id)
    }

    fn describe(&self, path: &str) -> Result<String, No> {
        let (instance, status) = (&self.0.instance, self.state().status.clone());
        let id = path.strip_prefix("/instance/").unwrap_or_default();
        match status.filter(|_| id == instance.instance_id) {
            Some(status) => {
                let url = format!("https://{id}.my.connect.aws");
                let described = json!({
                    "Id": id, "Arn": instance.to_string(), "InstanceStatus": status, "InstanceAccessUrl": url,
                });
                Ok(json!({ "Instance": described }).to_string())
            }
            None => Err((404, "ResourceNotFoundException", "no such instance".to_owned())),
        }
    }

    /// Judges a request and carries it out.
    fn update(&self, body: &[u8]) -> Result<(), No> {
        let invalid = |why: &str| (400, "InvalidRequestException", why.to_owned());
        let request: Value = serde_json::from_slice(body).map_err(|_| invalid("the body is not JSON"))?;
        let object = request.as_object().ok_or_else(|| invalid("the body is not an object"))?;
        let known = ["InstanceId", "InitialContactId", "Attributes"];
        if let Some(name) = object.keys().find(|name| !known.contains(&name.as_str())) {
            return Err(invalid(&format!("unknown member {name}")));
        }
        let text = |name: &str, max: usize| {
            let value = object.get(name).and_then(Value::as_str).filter(|v| (1..=max).contains(&v.len()));
            value.map(str::to_owned).ok_or_else(|| invalid(&format!("{name} is missing or too long")))
        };
        let (instance, contact) = (text("InstanceId", 100)?, text("InitialContactId", 256)?);
        let pairs =
            object.get("Attributes").and_then(Value::as_object).ok_or_else(|| invalid("Attributes is missing"))?;
        if instance != self.0.instance.instance_id || self.state().status.is_none() {
            return Err((404, "ResourceNotFoundException", "no such instance".into()));
        }
        let lend = self.0.lends && !self.state().contacts.contains_key(&contact);
        if lend {
            let _ = self.contact_arrives(&contact, "", "");
        }
        let mut state = self.state();
        let Some(flow) = state.contacts.get_mut(&contact) else {
            return Err((404, "ResourceNotFoundException", "no such contact".into()));
        };
        let mut merged = flow.attributes.clone();
        let mut written = BTreeMap::new();
        for (name, value) in pairs {
            let good = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
            let value = value.as_str().filter(|_| good);
            let value = value.ok_or_else(|| invalid(&format!("attribute {name} is malformed")))?;
            written.insert(name.clone(), value.to_owned());
            if value.is_empty() {
                merged.remove(name)
            } else {
                merged.insert(name.clone(), value.to_owned())
            };
        }
        if merged.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > 32_768 {
            return Err(invalid("the attributes exceed 32768 bytes"));
        }
        flow.attributes = merged;
        state.written.push(Written { contact_id: contact, attributes: written });
        Ok(())
    }
}
