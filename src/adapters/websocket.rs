//! WebSocket connections to services, with buffers of the size of what a call sends and hears.
//!
//! tungstenite takes 128 KiB for each direction by itself, and zeroes what it reads into before every read, fifty times a
//! second of a call: most of what a call would hold, and a quarter of what it would cost. Invariant: a connection holds no
//! more than [`CONNECTION_BYTES_MAX`] between two messages of ordinary size, and no message is taken that is longer than its
//! reader says.

use std::sync::Arc;

use bellhop_dialogue::ports::ServiceFailure;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::error::UrlError;
use tokio_tungstenite::tungstenite::handshake::client::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream};

use crate::reach::{PrivateAddress, Reach};

/// What is read at once: a result of a recognizer has less, audio of a synthesizer comes in several.
pub(crate) const READ_BYTES: usize = 1024;
/// What is collected before it is written: a tenth of a second of audio at 16 kHz.
pub(crate) const WRITE_BYTES: usize = 4 * 1024;
/// What may wait to be written while the service does not read: two seconds of audio at 16 kHz, and a start message.
pub(crate) const WRITE_BYTES_MAX: usize = 64 * 1024;
/// What TLS may keep of that, sealed, while the service does not read: a record.
const SEALED_BYTES_MAX: usize = 16 * 1024;
#[cfg(test)]
/// What one connection may hold, in bytes, TLS aside.
pub(crate) const CONNECTION_BYTES_MAX: usize = 8 * 1024;

/// A connection.
pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// The sizes of a connection whose messages have at most so many bytes.
pub(crate) fn sizes(message_bytes_max: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .write_buffer_size(WRITE_BYTES)
        .max_write_buffer_size(WRITE_BYTES_MAX)
        .max_message_size(Some(message_bytes_max))
        .max_frame_size(Some(message_bytes_max))
}

/// Opens a connection. The caller sets the deadline.
pub(crate) async fn connect(
    request: Request,
    reach: Reach,
    tls: &Arc<ClientConfig>,
    message_bytes_max: usize,
) -> Result<(Socket, Response), Error> {
    let connector = Connector::Rustls(Arc::clone(tls));
    let sizes = Some(sizes(message_bytes_max));
    let host = request.uri().host().ok_or(Error::Url(UrlError::NoHostName))?;
    let port = request.uri().port_u16().unwrap_or(if request.uri().scheme_str() == Some("wss") { 443 } else { 80 });
    let stream = reach.connect(host, port).await?;
    stream.set_nodelay(true)?;
    let opening = tokio_tungstenite::client_async_tls_with_config(request, stream, sizes, Some(connector));
    let (mut socket, response) = opening.await?;
    if let MaybeTlsStream::Rustls(stream) = socket.get_mut() {
        // In place of 64 KiB each, of what is to be sealed and of what is.
        stream.get_mut().1.set_buffer_limit(Some(SEALED_BYTES_MAX));
    }
    Ok((socket, response))
}

/// What went wrong with opening one.
pub(crate) fn failure(error: &Error) -> ServiceFailure {
    let why = match PrivateAddress::is_cause_of(error) {
        true => PrivateAddress.to_string(),
        false => "it cannot be reached".to_owned(),
    };
    ServiceFailure::Unavailable { why }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, SinkExt, StreamExt};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_tungstenite::tungstenite::Message;
    use tokio_tungstenite::tungstenite::protocol::Role;

    use super::*;

    /// What a connection holds at its peak while ten seconds of a call go out and a result comes back each second.
    fn held(sizes: Option<WebSocketConfig>) -> u64 {
        let (near, mut far) = tokio::io::duplex(8 * 1024);
        let mut sink = vec![0; 8 * 1024];
        let result = [&[0x81, 126, 1, 0][..], &[b' '; 256]].concat();
        let mut near = Some(near);
        let steps = || {
            let near = near.take().expect("measured once");
            let opening = WebSocketStream::from_raw_socket(near, Role::Client, sizes);
            let mut socket = opening.now_or_never().expect("nothing to wait for");
            for frame in 0..500 {
                let audio = Message::binary(vec![0; 640]);
                socket.send(audio).now_or_never().expect("there is room").expect("it is open");
                let _ = far.read(&mut sink).now_or_never();
                if frame % 50 == 0 {
                    far.write_all(&result).now_or_never().expect("there is room").expect("it is open");
                    let message = socket.next().now_or_never().flatten().expect("one has come").expect("a message");
                    assert_eq!(message.len(), 256);
                } else {
                    assert!(socket.next().now_or_never().is_none());
                }
            }
        };
        allocation_counter::measure(steps).bytes_max
    }

    #[test]
    fn a_connection_holds_what_a_call_needs_and_no_more() {
        let ours = held(Some(sizes(1 << 20)));
        assert!(ours <= CONNECTION_BYTES_MAX as u64, "{ours} bytes");
        assert!(held(None) > 8 * ours, "the measure sees what is saved");
    }
}
