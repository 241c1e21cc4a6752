//! A leg's real port: a UDP socket for RTP and one for RTCP.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use nix::sys::socket::{setsockopt, sockopt};

use super::{Deliver, PacketPort, batch_io};

/// Two bound, non-blocking UDP sockets: RTP, and RTCP on the port above.
#[derive(Debug)]
pub struct UdpPort {
    rtp: UdpSocket,
    rtcp: UdpSocket,
}

impl UdpPort {
    /// Binds the address and the one above.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let bound = |port| {
            let socket = UdpSocket::bind(SocketAddr::new(address.ip(), port))?;
            socket.set_nonblocking(true)?;
            // The kernel says when each datagram came: a port may be read much later.
            setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
            Ok::<_, io::Error>(socket)
        };
        // Port 0 lets the kernel choose both.
        let above = if address.port() == 0 { 0 } else { address.port().saturating_add(1) };
        Ok(Self { rtp: bound(address.port())?, rtcp: bound(above)? })
    }

    /// Where RTP and RTCP are bound.
    pub fn addresses(&self) -> io::Result<(SocketAddr, SocketAddr)> {
        Ok((self.rtp.local_addr()?, self.rtcp.local_addr()?))
    }
}

impl PacketPort for UdpPort {
    fn drain(&mut self, deliver: &mut Deliver<'_>) {
        batch_io::drain(self.rtp.as_raw_fd(), deliver);
    }

    fn drain_control(&mut self, deliver: &mut Deliver<'_>) {
        batch_io::drain(self.rtcp.as_raw_fd(), deliver);
    }

    fn send(&mut self, bytes: &[u8], to: SocketAddr) -> bool {
        self.rtp.send_to(bytes, to).is_ok()
    }

    fn send_control(&mut self, bytes: &[u8], to: SocketAddr) -> bool {
        self.rtcp.send_to(bytes, to).is_ok()
    }
}
