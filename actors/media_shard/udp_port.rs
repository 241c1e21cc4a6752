//! A leg's real port: a UDP socket for RTP and one for RTCP.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use bellhop_media::FRAME_MS;
use nix::sys::socket::{setsockopt, sockopt};

use super::{Deliver, PacketPort, batch_io};

/// A datagram that has just come: what was left with the frame before is older, unless the clock catches up what it missed.
const YOUNG: Duration = Duration::from_millis(FRAME_MS * 3 / 4);
/// Reads of one datagram until all that waits is read again, however young it is.
const REGULAR_FRAMES: u8 = 5;

/// Two bound, non-blocking UDP sockets: RTP, and RTCP on the port above.
#[derive(Debug)]
pub struct UdpPort {
    rtp: UdpSocket,
    rtcp: UdpSocket,
    /// Frames of which one datagram is read: one was there when all were, as it should be.
    regular: u8,
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
        Ok(Self { rtp: bound(address.port())?, rtcp: bound(above)?, regular: 0 })
    }

    /// Where RTP and RTCP are bound.
    pub fn addresses(&self) -> io::Result<(SocketAddr, SocketAddr)> {
        Ok((self.rtp.local_addr()?, self.rtcp.local_addr()?))
    }
}

impl PacketPort for UdpPort {
    /// To find that nothing else waits costs a fifth of reading: where one datagram came with a frame, one is read with those that
    /// follow. What is behind one that has just come is read with the next frame.
    fn drain(&mut self, deliver: &mut Deliver<'_>) {
        let (socket, mut read) = (self.rtp.as_raw_fd(), 0);
        if self.regular > 0 {
            self.regular -= 1;
            match batch_io::first(socket, deliver) {
                Some(age) if age < YOUNG => return,
                Some(_) => read = 1,
                // It is late or lost: with the next frame two may come, in whatever order.
                None => return self.regular = 0,
            }
        }
        read += batch_io::drain(socket, deliver);
        self.regular = if read == 1 { REGULAR_FRAMES } else { 0 };
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

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn what_comes_behind_another_is_read_with_the_next_frame_at_the_latest() {
        let mut port = UdpPort::bind("127.0.0.1:0".parse().expect("an address")).expect("loopback");
        let sender = UdpSocket::bind("127.0.0.1:0").expect("loopback");
        let to = port.addresses().expect("bound").0;
        let mut sent = 0u8;
        let mut send = |count: u8| {
            (sent..sent + count).for_each(|n| assert!(sender.send_to(&[n; 12], to).is_ok()));
            sent += count;
        };
        let mut seen = vec![];
        let mut read = |port: &mut UdpPort| {
            port.drain(&mut |datagram| seen.push(datagram.bytes[0]));
            seen.len()
        };
        for burst in [1, 1, 1, 5, 1, 2, 1, 40] {
            send(burst);
            read(&mut port);
        }
        let began = Instant::now();
        while began.elapsed() < YOUNG {
            std::hint::spin_loop();
        }
        // However young what waits is, it is not left for long: the clock of a machine may say anything.
        (0..=REGULAR_FRAMES).for_each(|_| _ = read(&mut port));
        assert_eq!(read(&mut port), 52);
        // What did not come in time comes with what is behind it.
        send(1);
        assert_eq!((read(&mut port), read(&mut port)), (53, 53));
        send(3);
        assert_eq!(read(&mut port), 56);
        assert_eq!(seen, (0..56).collect::<Vec<u8>>());
    }
}
