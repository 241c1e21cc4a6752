//! The servers that share a store, and the end of this one.

use askama::Template;
use bellhop_tenancy::access::Role;
use serde_json::Value;

use super::super::Outcome;
use super::super::answered::{list_of, status_of, text};
use super::super::frame::{Frame, shown};
use super::super::told::Told;
use super::super::visit::{Page, Visit, led_on};
use super::{Link, PATH, links};
use crate::problem::Problem;
use crate::rest::Inquiry;

#[derive(Template)]
#[template(path = "server/nodes.html")]
struct NodesPage {
    frame: Frame,
    told: Option<Told>,
    links: Vec<Link>,
    nodes: Vec<Node>,
    /// The path of this page.
    here: String,
    /// Whether this server takes calls: it can be drained.
    takes_calls: bool,
    /// Whether it takes no more of them.
    is_draining: bool,
}

struct Node {
    name: String,
    is_this: bool,
    version: String,
    calls: String,
    state: &'static str,
    applied: String,
    address: String,
}

pub(super) fn pages() -> Vec<Page> {
    vec![Page::new(PATH, Role::Operator, |visit| async move { page(&visit, None).await }).sends(send)]
}

async fn page(visit: &Visit, problem: Option<&Problem>) -> Outcome {
    let listed = visit.get("/nodes").await?;
    let nodes: Vec<Node> = list_of(&listed).iter().map(Node::of).collect();
    let page = NodesPage {
        frame: visit.frame(),
        told: visit.told(problem),
        links: links(visit),
        here: visit.path_below_root(),
        takes_calls: this(&listed, false),
        is_draining: this(&listed, true),
        nodes,
    };
    Ok(shown(status_of(problem), &page))
}

/// Whether this server is among those listed, and drains or does not.
fn this(listed: &Value, is_draining: bool) -> bool {
    list_of(listed).iter().any(|node| node["this"] == true && node["draining"] == is_draining)
}

impl Node {
    fn of(node: &Value) -> Self {
        let (calls, applied) = (&node["calls"], &node["not_applied"]);
        let served = if node["current"] == true { "everything that is kept" } else { "what was kept a moment ago" };
        let but = if applied == 0 { String::new() } else { format!(", but for {applied} integrations") };
        let host = text(node, "sip_host");
        Self {
            name: text(node, "name"),
            is_this: node["this"] == true,
            version: text(node, "version"),
            calls: calls.to_string(),
            state: if node["draining"] == true { "takes no more calls" } else { "takes calls" },
            applied: format!("{served} (change {}){but}", node["change"]),
            address: if host.is_empty() { "not known".to_owned() } else { format!("{host}:{}", node["sip_port"]) },
        }
    }
}

async fn send(visit: Visit) -> Outcome {
    let came = match visit.form.text("do") {
        "drain" => visit.ask(Inquiry::post("/nodes/this/drain")).await.map(|_| visit.path_below_root()),
        _ => Ok(visit.path_below_root()),
    };
    led_on(&visit, came, |visit, problem| async move { page(visit, Some(&problem)).await }).await
}
