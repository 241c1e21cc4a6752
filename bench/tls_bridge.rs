//! Carries the generator's SIP over TLS: datagrams on one side, one connection to the server on the other.
//!
//! Invariant: a message is carried as it is, whole and once. Signalling alone: audio goes its own way.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio_rustls::TlsConnector;

/// The largest datagram, and the most that a message may have.
const MESSAGE_BYTES_MAX: usize = 65_535;

/// Starts one to a server whose certificate is this; the port of its datagrams.
pub(crate) fn start(server: SocketAddr, certificate: &Path) -> Result<u16> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate).context("the certificate")?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let connector = TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth()));
    let socket = std::net::UdpSocket::bind("127.0.0.1:0")?;
    socket.set_nonblocking(true)?;
    let port = socket.local_addr()?.port();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || {
        if let Err(error) = runtime.block_on(carry(socket, connector, server)) {
            eprintln!("the way to the server broke off: {error}");
        }
    });
    Ok(port)
}

async fn carry(socket: std::net::UdpSocket, connector: TlsConnector, server: SocketAddr) -> Result<()> {
    let socket = UdpSocket::from_std(socket)?;
    let stream = TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;
    let mut stream = connector.connect(ServerName::try_from("localhost")?, stream).await?;
    let (mut datagram, mut part) = (vec![0; MESSAGE_BYTES_MAX], vec![0; 16 * 1024]);
    let (mut arrived, mut generator) = (vec![], None);
    loop {
        tokio::select! {
            read = stream.read(&mut part) => {
                let length = read?;
                if length == 0 {
                    return Ok(());
                }
                arrived.extend_from_slice(&part[..length]);
                while let Some(message) = take_message(&mut arrived)? {
                    socket.send_to(&message, generator.context("nobody has asked yet")?).await?;
                }
            }
            received = socket.recv_from(&mut datagram) => {
                let (length, source) = received?;
                generator = Some(source);
                stream.write_all(&datagram[..length]).await?;
                stream.flush().await?;
            }
        }
    }
}

/// The first message of what has arrived, once it is whole (RFC 3261 18.3).
fn take_message(arrived: &mut Vec<u8>) -> Result<Option<Vec<u8>>> {
    let pings = arrived.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    arrived.drain(..pings);
    let Some(head) = arrived.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let text = String::from_utf8_lossy(&arrived[..head]).into_owned();
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_length = name.eq_ignore_ascii_case("content-length") || name.eq_ignore_ascii_case("l");
        is_length.then(|| value.trim().parse::<usize>().ok()).flatten()
    });
    let whole = head + 4 + length.unwrap_or_default();
    if whole > MESSAGE_BYTES_MAX {
        bail!("a message of {whole} bytes");
    }
    Ok((arrived.len() >= whole).then(|| arrived.drain(..whole).collect()))
}
