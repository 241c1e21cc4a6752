//! `recvmmsg`: everything that waits on a socket in one system call. The one file of this crate with unsafe code.
//!
//! Invariant: the buffers live in this thread and are only read up to the length the kernel reported.

use std::cell::RefCell;
use std::mem::{MaybeUninit, size_of, zeroed};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::RawFd;

use nix::libc;

const AT_ONCE: usize = 8;
const DATAGRAM_MAX: usize = 1500;

struct Buffers {
    bytes: [[u8; DATAGRAM_MAX]; AT_ONCE],
    names: [MaybeUninit<libc::sockaddr_storage>; AT_ONCE],
    vectors: [libc::iovec; AT_ONCE],
    headers: [libc::mmsghdr; AT_ONCE],
    /// How many headers the kernel has written into since they were last made ready.
    used: usize,
}

impl Buffers {
    fn new() -> Box<Self> {
        let mut this = Box::new(Self {
            bytes: [[0; DATAGRAM_MAX]; AT_ONCE],
            names: [MaybeUninit::zeroed(); AT_ONCE],
            vectors: std::array::from_fn(|_| libc::iovec { iov_base: std::ptr::null_mut(), iov_len: DATAGRAM_MAX }),
            // SAFETY: an all-zero mmsghdr is a valid value of that plain C structure.
            headers: unsafe { zeroed() },
            used: AT_ONCE,
        });
        // The box is never moved out of, so these stay true.
        for n in 0..AT_ONCE {
            this.vectors[n].iov_base = this.bytes[n].as_mut_ptr().cast();
            let header = &mut this.headers[n].msg_hdr;
            header.msg_iov = &raw mut this.vectors[n];
            header.msg_iovlen = 1;
            header.msg_name = this.names[n].as_mut_ptr().cast();
        }
        this
    }
}

thread_local! {
    static BUFFERS: RefCell<Box<Buffers>> = RefCell::new(Buffers::new());
}

/// Hands over every datagram that waits on the socket.
pub(super) fn drain(socket: RawFd, deliver: &mut dyn FnMut(SocketAddr, &mut [u8])) {
    BUFFERS.with_borrow_mut(|buffers| {
        loop {
            let received = receive(socket, buffers, deliver);
            if received < AT_ONCE {
                return;
            }
        }
    });
}

fn receive(socket: RawFd, buffers: &mut Buffers, deliver: &mut dyn FnMut(SocketAddr, &mut [u8])) -> usize {
    for header in &mut buffers.headers[..buffers.used] {
        header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    }
    // SAFETY: headers, vectors, names and byte buffers live in one box that is not moved, their lengths are those of the
    // arrays, and the socket is a descriptor the caller owns.
    let received = unsafe {
        libc::recvmmsg(
            socket,
            buffers.headers.as_mut_ptr(),
            AT_ONCE as libc::c_uint,
            libc::MSG_DONTWAIT,
            std::ptr::null_mut(),
        )
    };
    let received = usize::try_from(received).unwrap_or(0);
    buffers.used = received;
    for n in 0..received {
        // SAFETY: the kernel filled the name; the storage was zeroed before its first use.
        let name = unsafe { buffers.names[n].assume_init_ref() };
        if let Some(source) = address(name) {
            deliver(source, &mut buffers.bytes[n][..(buffers.headers[n].msg_len as usize).min(DATAGRAM_MAX)]);
        }
    }
    received
}

fn address(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match i32::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that the storage holds a sockaddr_in, which is smaller and equally aligned.
            let v4 = unsafe { &*(&raw const *name).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
            Some(SocketAddr::from((ip, u16::from_be(v4.sin_port))))
        }
        libc::AF_INET6 => {
            // SAFETY: as above, for sockaddr_in6.
            let v6 = unsafe { &*(&raw const *name).cast::<libc::sockaddr_in6>() };
            Some(SocketAddr::from((Ipv6Addr::from(v6.sin6_addr.s6_addr), u16::from_be(v6.sin6_port))))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn everything_that_waits_is_handed_over_with_its_source() {
        for ip in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(receiver) = UdpSocket::bind(ip) else { continue };
            let sender = UdpSocket::bind(ip).expect("loopback");
            let to = receiver.local_addr().expect("bound");
            (0..20u8).for_each(|n| assert!(sender.send_to(&[n; 5], to).is_ok()));
            let mut seen = vec![];
            drain(receiver.as_raw_fd(), &mut |source, bytes| seen.push((source, bytes.to_vec())));
            let from = sender.local_addr().expect("bound");
            assert_eq!(seen, (0..20u8).map(|n| (from, vec![n; 5])).collect::<Vec<_>>());
        }
    }
}
