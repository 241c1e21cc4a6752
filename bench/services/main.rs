//! Services as tenants use them, in a process of their own: recognizers by WebSocket, and over HTTPS a synthesizer, an assistant and a
//! receiver of log events.
//!
//! It says on its first line of output where it listens, and on its last, once its input is closed, what it was asked. Invariant: what it
//! costs is never the server's: it shares nothing with it but sockets of loopback.

#![allow(clippy::print_stdout)] // a command-line tool

mod asked;
mod http;
mod recognizer;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Parser;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use asked::Asked;

/// Serves until its input is closed.
#[derive(Parser)]
struct Arguments {
    /// The certificate for `localhost`, in PEM.
    #[arg(long)]
    certificate: PathBuf,
    /// Its key, in PEM.
    #[arg(long)]
    key: PathBuf,
    /// Seconds of audio from the final result of one utterance to that of the next.
    #[arg(long, default_value_t = 10)]
    turn_seconds: usize,
}

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(&Arguments::parse()))
}

async fn serve(arguments: &Arguments) -> Result<()> {
    let acceptor = TlsAcceptor::from(Arc::new(server_config(arguments)?));
    let asked = Arc::new(Asked::default());
    let (sockets, requests) = (TcpListener::bind("127.0.0.1:0").await?, TcpListener::bind("127.0.0.1:0").await?);
    println!("{}", json!({"websocket": sockets.local_addr()?.port(), "http": requests.local_addr()?.port()}));
    let turn_seconds = arguments.turn_seconds;
    let (told, secured) = (Arc::clone(&asked), acceptor.clone());
    tokio::spawn(each(sockets, secured, move |stream| recognizer::serve(stream, Arc::clone(&told), turn_seconds)));
    let told = Arc::clone(&asked);
    tokio::spawn(each(requests, acceptor, move |stream| http::serve(stream, Arc::clone(&told))));
    let mut ends = [0; 16];
    while tokio::io::stdin().read(&mut ends).await.is_ok_and(|length| length > 0) {}
    println!("{}", asked.figures());
    Ok(())
}

/// Serves every connection in a task of its own.
async fn each<F: Future<Output = Result<()>> + Send + 'static>(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    serve: impl Fn(TlsStream<TcpStream>) -> F,
) {
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let Ok(stream) = acceptor.accept(stream).await else { continue };
        tokio::spawn(serve(stream)); // a connection that breaks off is the server's to tell of
    }
}

fn server_config(arguments: &Arguments) -> Result<ServerConfig> {
    let certificate = CertificateDer::from_pem_file(&arguments.certificate).context("the certificate")?;
    let key = PrivateKeyDer::from_pem_file(&arguments.key).context("its key")?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = builder.with_no_client_auth().with_single_cert(vec![certificate], key)?;
    // As services of the internet do, for all of their machines.
    config.ticketer = rustls::crypto::ring::Ticketer::new()?;
    Ok(config)
}
