//! A tenant's speech services: what there is, and a new one of each port.

use askama::Template;
use bellhop_tenancy::access::Role;
use serde_json::Value;

use super::Outcome;
use super::answered::{list_of, status_of, text};
use super::frame::{Frame, shown};
use super::kinds::{Choice, Port, SPEECH_TO_TEXT, TEXT_TO_SPEECH};
use super::part::{self, Part};
use super::tenant::Tenant;
use super::told::Told;
use super::visit::{Page, Visit, led_on};
use crate::problem::Problem;
use crate::rest::Inquiry;

/// The ports, with the page where a service of each is made.
static PORTS: [(&Port, &str); 2] = [
    (&SPEECH_TO_TEXT, "/tenants/{tenant}/services/speech-to-text"),
    (&TEXT_TO_SPEECH, "/tenants/{tenant}/services/text-to-speech"),
];

#[derive(Template)]
#[template(path = "services.html")]
struct ServicesPage {
    frame: Frame,
    tenant: Tenant,
    may_change: bool,
    lists: Vec<List>,
}

/// Those of one port.
struct List {
    name: &'static str,
    /// Where a new one is made.
    path: String,
    services: Vec<Listed>,
}

struct Listed {
    id: String,
    name: String,
    kind: String,
    tested: String,
    used_by: String,
}

#[derive(Template)]
#[template(path = "service_new.html")]
struct NewPage {
    frame: Frame,
    told: Option<Told>,
    tenant: Tenant,
    name: &'static str,
    choices: Vec<Choice>,
}

pub(super) fn pages() -> Vec<Page> {
    let new = |(port, path): (&'static Port, &'static str)| {
        Page::new(path, Role::Admin, move |visit| async move { new(&visit, port, None).await })
            .sends(move |visit| add(visit, port))
    };
    let list = Page::new("/tenants/{tenant}/services", Role::Viewer, list);
    let one = part::page_of(Part::Service, "/tenants/{tenant}/services/{service}");
    PORTS.into_iter().map(new).chain([list, one]).collect()
}

async fn list(visit: Visit) -> Outcome {
    let tenant = Tenant::of(&visit).await?;
    let of = format!("?tenant={}&limit=200", tenant.id);
    let (services, users) =
        (visit.get(format!("/services{of}")).await?, visit.get(format!("/integrations{of}")).await?);
    let list = |(port, path): (&'static Port, &str)| {
        let own = list_of(&services).iter().filter(|one| one["settings"]["port"] == port.word);
        let listed = |one: &Value| Listed {
            id: text(one, "id"),
            name: text(one, "name"),
            kind: port
                .kinds
                .iter()
                .find(|kind| one["settings"]["kind"] == kind.kind)
                .map_or("", |kind| kind.name)
                .to_owned(),
            tested: text(&one["tested"], "told"),
            used_by: used_by(list_of(&users), port, &one["id"]),
        };
        List { name: port.name, path: path.replace("{tenant}", &tenant.id), services: own.map(listed).collect() }
    };
    let page = ServicesPage {
        frame: visit.frame(),
        may_change: visit.may(Role::Admin) && !tenant.from_file,
        lists: PORTS.into_iter().map(list).collect(),
        tenant,
    };
    Ok(shown(status_of(None), &page))
}

/// The integrations that a service hears or speaks for.
fn used_by(integrations: &[Value], port: &Port, id: &Value) -> String {
    let uses = |one: &&Value| one["settings"][port.word].as_array().is_some_and(|all| all.contains(id));
    let names: Vec<String> = integrations.iter().filter(uses).map(|one| text(one, "name")).collect();
    names.join(", ")
}

async fn new(visit: &Visit, port: &'static Port, problem: Option<&Problem>) -> Outcome {
    let told = visit.told(problem);
    let page = NewPage {
        frame: visit.frame(),
        tenant: Tenant::of(visit).await?,
        name: port.name,
        choices: Choice::all(port.kinds, &visit.form, &told),
        told,
    };
    Ok(shown(status_of(problem), &page))
}

/// It is kept whether it answers or not, and its page says so.
async fn add(visit: Visit, port: &'static Port) -> Outcome {
    let kind = port.kinds.iter().find(|kind| kind.kind == visit.form.text("make")).ok_or_else(Problem::not_found)?;
    let mut settings = kind.settings(&visit.form);
    settings["port"] = port.word.into();
    let body = serde_json::json!({"name": visit.form.line("called"), "settings": settings});
    let tenant = visit.name("tenant");
    let made = visit.ask(Inquiry::post_json(format!("/services?tenant={tenant}"), body)).await;
    if let Ok(made) = &made {
        // Should this not come to an end, its page says that it was not tested.
        let tested = visit.ask(Inquiry::post(format!("/services/{}/test", text(made, "id")))).await;
        drop(tested);
    }
    let path = made.map(|made| format!("/tenants/{tenant}/services/{}", text(&made, "id")));
    led_on(&visit, path, |visit, problem| async move { new(visit, port, Some(&problem)).await }).await
}
