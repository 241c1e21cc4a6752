//! What a request for an operation of Amazon's must be like, by the models that the AWS command line has of its services
//! (`service_model.json`, made by `tests/deployment/service_model.py`).
//!
//! Invariant: a request that passes has every required member, no unknown one, and each of its type, in its bounds, of its
//! enumeration and pattern: more than the command line itself looks at.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use actix_web::HttpRequest;
use actix_web::web::Query;
use regex::Regex;
use serde_json::{Map, Value, json};

/// All operations there are.
static MODEL: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("service_model.json")).expect("the model is JSON"));

/// An operation.
#[derive(Clone, Copy)]
pub(super) struct Operation(&'static Value);

/// What is put in place of the parameters of a path.
type Places = BTreeMap<String, String>;

impl Operation {
    /// What is asked for of a service (by its name in signatures), if it is known.
    pub(super) fn of(service: &str, request: &HttpRequest, body: &[u8]) -> Option<Self> {
        let action = (service == "iam").then(|| form(body).ok()?.remove("Action")).flatten();
        let all = MODEL["operations"].as_array().map(Vec::as_slice).unwrap_or_default();
        let fits = |one: &&'static Value| {
            one["service"] == service
                && one["method"] == request.method().as_str()
                && matched(text(&one["path"]), request.path()).is_some()
                && action.as_ref().is_none_or(|action| one["name"] == action.as_str())
        };
        // Of two paths that fit the one without a parameter at this place is meant.
        all.iter().filter(fits).min_by_key(|one| text(&one["path"]).matches('{').count()).map(Self)
    }

    pub(super) fn name(self) -> &'static str {
        text(&self.0["name"])
    }

    /// As policies name it.
    pub(super) fn action(self) -> String {
        format!("{}:{}", text(&self.0["service"]), self.name())
    }

    /// The status of an answer when all went well.
    pub(super) fn status(self) -> u16 {
        self.0["status"].as_u64().and_then(|status| status.try_into().ok()).unwrap_or(200)
    }

    /// The members of a request; or what is wrong with it.
    pub(super) fn input(self, request: &HttpRequest, body: &[u8]) -> Result<Value, String> {
        let shape = &self.0["input"];
        let mut input = match text(&self.0["service"]) {
            "iam" => self.form_input(body)?,
            _ if body.is_empty() => Map::new(),
            _ => match serde_json::from_slice(body) {
                Ok(Value::Object(members)) => members,
                _ => return Err("the body is no JSON object".to_owned()),
            },
        };
        let stands = |name: &str| shape["members"][name]["in"].is_array();
        if let Some(name) = input.keys().find(|name| stands(name)) {
            return Err(format!("{name} does not belong in the body"));
        }
        for (name, value) in matched(text(&self.0["path"]), request.path()).unwrap_or_default() {
            self.put(&mut input, "uri", &name, &value)?;
        }
        let query =
            Query::<Vec<(String, String)>>::from_query(request.query_string()).map_err(|why| why.to_string())?;
        for (name, value) in query.into_inner() {
            self.put(&mut input, "querystring", &name, &value)?;
        }
        let input = Value::Object(input);
        judge(shape, &input, "input")?;
        Ok(input)
    }

    /// Puts what stands in a path or a query where the model has it.
    fn put(self, input: &mut Map<String, Value>, place: &str, name: &str, value: &str) -> Result<(), String> {
        let members = self.0["input"]["members"].as_object().expect("an input is a structure");
        let found = members.iter().find(|(_, shape)| shape["in"] == json!([place, name]));
        let (member, shape) = found.ok_or_else(|| format!("{name} is not known in the {place}"))?;
        match text(&shape["type"]) {
            "list" => {
                let list = input.entry(member.as_str()).or_insert_with(|| json!([]));
                list.as_array_mut().expect("it was begun as one").push(json!(value));
            }
            "integer" => {
                let number: i64 = value.parse().map_err(|_| format!("{name} is no number"))?;
                input.insert(member.clone(), json!(number));
            }
            _ => {
                input.insert(member.clone(), json!(value));
            }
        }
        Ok(())
    }

    /// The members of a form (AWS query protocol), of which all that are asked here are texts.
    fn form_input(self, body: &[u8]) -> Result<Map<String, Value>, String> {
        let mut form = form(body)?;
        let version = form.remove("Version");
        if form.remove("Action").is_none() || version.as_deref() != self.0["version"].as_str() {
            return Err("Action or Version is missing, or another".to_owned());
        }
        Ok(form.into_iter().map(|(name, value)| (name, json!(value))).collect())
    }
}

fn text(value: &'static Value) -> &'static str {
    value.as_str().unwrap_or_default()
}

fn form(body: &[u8]) -> Result<BTreeMap<String, String>, String> {
    let text = std::str::from_utf8(body).map_err(|why| why.to_string())?;
    Query::<BTreeMap<String, String>>::from_query(text).map(Query::into_inner).map_err(|why| why.to_string())
}

/// What stands in a path in place of a template's parameters, if it is of that template.
fn matched(template: &str, path: &str) -> Option<Places> {
    let (wanted, found): (Vec<&str>, Vec<&str>) = (template.split('/').collect(), path.split('/').collect());
    if wanted.len() != found.len() {
        return None;
    }
    let mut places = Places::new();
    for (wanted, found) in wanted.into_iter().zip(found) {
        match wanted.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            Some(name) => {
                places.insert(name.to_owned(), found.to_owned());
            }
            None if wanted == found => {}
            None => return None,
        }
    }
    Some(places)
}

/// Whether a value is of a shape; or what is wrong with it, and where.
fn judge(shape: &Value, value: &Value, at: &str) -> Result<(), String> {
    let is_of_type = match shape["type"].as_str().unwrap_or_default() {
        "structure" | "map" => value.is_object(),
        "list" => value.is_array(),
        "integer" | "long" => value.is_i64(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        other => return Err(format!("{at}: nothing of the type {other} is rehearsed")),
    };
    if !is_of_type {
        return Err(format!("{at} is no {}", shape["type"]));
    }
    let size = match value {
        Value::Array(items) => items.len() as i64,
        Value::Object(members) => members.len() as i64,
        Value::String(text) => text.chars().count() as i64,
        other => other.as_i64().unwrap_or_default(),
    };
    let is_outside =
        shape["min"].as_i64().is_some_and(|min| size < min) || shape["max"].as_i64().is_some_and(|max| size > max);
    if is_outside {
        return Err(format!("{at} is out of its bounds: {size}"));
    }
    match value {
        Value::Array(items) => items.iter().try_for_each(|item| judge(&shape["member"], item, at)),
        Value::Object(members) if shape["type"] == "map" => {
            members.iter().try_for_each(|(name, value)| judge(&shape["value"], value, &format!("{at}.{name}")))
        }
        Value::Object(members) => judge_members(shape, members, at),
        Value::String(text) => judge_text(shape, text, at),
        _ => Ok(()),
    }
}

fn judge_members(shape: &Value, members: &Map<String, Value>, at: &str) -> Result<(), String> {
    let required = shape["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    for name in required {
        if !members.contains_key(name) {
            return Err(format!("{at} lacks {name}"));
        }
    }
    members.iter().try_for_each(|(name, value)| match &shape["members"][name] {
        Value::Null => Err(format!("{at} has an unknown member {name}")),
        known => judge(known, value, &format!("{at}.{name}")),
    })
}

fn judge_text(shape: &Value, text: &str, at: &str) -> Result<(), String> {
    if shape["enum"].as_array().is_some_and(|known| !known.contains(&json!(text))) {
        return Err(format!("{at} is none of {}", shape["enum"]));
    }
    let Some(pattern) = shape["pattern"].as_str() else { return Ok(()) };
    let pattern = Regex::new(&format!("^(?:{pattern})$")).map_err(|why| format!("{at}: {why}"))?;
    if pattern.is_match(text) { Ok(()) } else { Err(format!("{at} is not of its pattern")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A model that no value passes, or whose pattern cannot be read, would be found by whoever needs it, and late.
    #[test]
    fn every_pattern_of_the_model_can_be_read() {
        fn look(value: &Value) {
            if let Some(pattern) = value["pattern"].as_str() {
                Regex::new(&format!("^(?:{pattern})$")).expect(pattern);
            }
            match value {
                Value::Array(items) => items.iter().for_each(look),
                Value::Object(members) => members.values().for_each(look),
                _ => {}
            }
        }
        look(&MODEL);
    }

    #[test]
    fn what_is_missing_unknown_or_out_of_bounds_is_told_with_its_place() {
        let route = json!({"type": "structure", "required": ["Port"], "members": {
            "Port": {"type": "integer", "min": 0, "max": 65535}, "Protocol": {"type": "string", "enum": ["TCP", "UDP"]},
        }});
        let shape =
            json!({"type": "structure", "required": [], "members": {"Routes": {"type": "list", "member": route}}});
        let why = |route: Value| judge(&shape, &json!({"Routes": [route]}), "input").err().unwrap_or_default();
        assert_eq!(why(json!({"Port": 5061, "Protocol": "TCP"})), "");
        assert_eq!(why(json!({})), "input.Routes lacks Port");
        assert_eq!(why(json!({"Port": "5061"})), "input.Routes.Port is no \"integer\"");
        assert_eq!(why(json!({"Port": 65536})), "input.Routes.Port is out of its bounds: 65536");
        assert_eq!(why(json!({"Port": 1, "Host": "x"})), "input.Routes has an unknown member Host");
        assert_eq!(why(json!({"Port": 1, "Protocol": "TLS"})), "input.Routes.Protocol is none of [\"TCP\",\"UDP\"]");
    }
}
