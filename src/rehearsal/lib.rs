//! Stand-ins that behave like the real ones: a caller that speaks, an Amazon Connect that runs a flow, Watson services.
//!
//! Used by `bellhop demo`, by tests and by bench. Invariant: never linked into a serving path.

pub mod amazon_speech;
pub mod caller;
pub mod connect;
pub mod flow;
mod sigv4;
pub mod watson_assistant;
pub mod watson_speech;
pub mod watson_text_to_speech;

use std::net::SocketAddr;

use actix_web::web::ServiceConfig;
use actix_web::{App, HttpServer};

/// Serves routes over HTTP on a thread of its own, until the process ends.
pub(crate) fn serve_http(
    address: SocketAddr,
    name: &str,
    routes: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
) -> std::io::Result<SocketAddr> {
    let listener = std::net::TcpListener::bind(address)?;
    let bound = listener.local_addr()?;
    std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        let app = move || App::new().configure(routes.clone());
        let _ = actix_web::rt::System::new()
            .block_on(async move { HttpServer::new(app).workers(1).disable_signals().listen(listener)?.run().await });
    })?;
    Ok(bound)
}

/// Any free port of this machine alone.
pub(crate) const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);
