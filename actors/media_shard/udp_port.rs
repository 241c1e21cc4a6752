//! A leg's real port: one UDP socket.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use super::{PacketPort, batch_io};

/// A bound, non-blocking UDP socket.
#[derive(Debug)]
pub struct UdpPort(UdpSocket);

impl UdpPort {
    /// Binds the address.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind(address)?;
        socket.set_nonblocking(true)?;
        Ok(Self(socket))
    }
}

impl PacketPort for UdpPort {
    fn drain(&mut self, deliver: &mut dyn FnMut(SocketAddr, &[u8])) {
        batch_io::drain(self.0.as_raw_fd(), deliver);
    }

    fn send(&mut self, bytes: &[u8], to: SocketAddr) -> bool {
        self.0.send_to(bytes, to).is_ok()
    }
}
