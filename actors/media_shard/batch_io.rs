//! `recvmmsg`: everything that waits on a socket in one system call. With `prefetch.rs` the only unsafe code of this crate.
//!
//! Each datagram comes with its age: how long ago the kernel took it off the wire (SO_TIMESTAMPNS), which costs no system
//! call of its own. Invariant: the buffers live in this thread and are only read up to the length the kernel reported.

use std::cell::RefCell;
use std::mem::{MaybeUninit, size_of, zeroed};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::RawFd;
use std::time::{Duration, SystemTime};

use nix::libc;

use super::{Datagram, Deliver};

/// Datagrams that are read by one system call.
const DATAGRAMS_AT_ONCE: usize = 8;
/// Bytes of a datagram that are read: an Ethernet frame's; the rest of a longer one is lost.
const MEDIA_DATAGRAM_BYTES_MAX: usize = 1500;
/// Room for the kernel's time stamp: a header of 16 bytes and a timespec of 16.
const CONTROL_WORDS: usize = 8;
/// An older datagram was not that long on its way: the time of day was set meanwhile.
const AGE_MAX: Duration = Duration::from_secs(10);

struct Buffers {
    bytes: [[u8; MEDIA_DATAGRAM_BYTES_MAX]; DATAGRAMS_AT_ONCE],
    names: [MaybeUninit<libc::sockaddr_storage>; DATAGRAMS_AT_ONCE],
    vectors: [libc::iovec; DATAGRAMS_AT_ONCE],
    /// In words of eight bytes, as control messages are aligned.
    controls: [[u64; CONTROL_WORDS]; DATAGRAMS_AT_ONCE],
    headers: [libc::mmsghdr; DATAGRAMS_AT_ONCE],
    /// How many headers the kernel has written into since they were last made ready.
    used: usize,
}

impl Buffers {
    fn new() -> Box<Self> {
        let mut this = Box::new(Self {
            bytes: [[0; MEDIA_DATAGRAM_BYTES_MAX]; DATAGRAMS_AT_ONCE],
            names: [MaybeUninit::zeroed(); DATAGRAMS_AT_ONCE],
            vectors: std::array::from_fn(|_| libc::iovec {
                iov_base: std::ptr::null_mut(),
                iov_len: MEDIA_DATAGRAM_BYTES_MAX,
            }),
            controls: [[0; CONTROL_WORDS]; DATAGRAMS_AT_ONCE],
            // SAFETY: an all-zero mmsghdr is a valid value of that plain C structure.
            headers: unsafe { zeroed() },
            used: DATAGRAMS_AT_ONCE,
        });
        // The box is never moved out of, so these stay true.
        for n in 0..DATAGRAMS_AT_ONCE {
            this.vectors[n].iov_base = this.bytes[n].as_mut_ptr().cast();
            let header = &mut this.headers[n].msg_hdr;
            header.msg_iov = &raw mut this.vectors[n];
            header.msg_iovlen = 1;
            header.msg_name = this.names[n].as_mut_ptr().cast();
            header.msg_control = this.controls[n].as_mut_ptr().cast();
        }
        this
    }
}

thread_local! {
    static BUFFERS: RefCell<Box<Buffers>> = RefCell::new(Buffers::new());
}

/// Hands over every datagram that waits on the socket.
pub(super) fn drain(socket: RawFd, deliver: &mut Deliver<'_>) {
    BUFFERS.with_borrow_mut(|buffers| {
        loop {
            let received = receive(socket, buffers, deliver);
            if received < DATAGRAMS_AT_ONCE {
                return;
            }
        }
    });
}

fn receive(socket: RawFd, buffers: &mut Buffers, deliver: &mut Deliver<'_>) -> usize {
    for header in &mut buffers.headers[..buffers.used] {
        header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
        header.msg_hdr.msg_controllen = size_of::<[u64; CONTROL_WORDS]>() as _;
    }
    // SAFETY: headers, vectors, names, controls and byte buffers live in one box that is not moved, their lengths are
    // those of the arrays, and the socket is a descriptor the caller owns.
    let received = unsafe {
        libc::recvmmsg(
            socket,
            buffers.headers.as_mut_ptr(),
            DATAGRAMS_AT_ONCE as libc::c_uint,
            libc::MSG_DONTWAIT,
            std::ptr::null_mut(),
        )
    };
    let received = usize::try_from(received).unwrap_or(0);
    buffers.used = received;
    if received == 0 {
        return 0;
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    for n in 0..received {
        // SAFETY: the kernel filled the name; the storage was zeroed before its first use.
        let name = unsafe { buffers.names[n].assume_init_ref() };
        if let Some(source) = address(name) {
            let age = stamp(&buffers.headers[n].msg_hdr).and_then(|stamp| now.checked_sub(stamp));
            let age = age.filter(|age| *age <= AGE_MAX).unwrap_or_default();
            let length = (buffers.headers[n].msg_len as usize).min(MEDIA_DATAGRAM_BYTES_MAX);
            deliver(Datagram { source, bytes: &mut buffers.bytes[n][..length], age });
        }
    }
    received
}

/// When the kernel took a datagram, since 1970.
fn stamp(header: &libc::msghdr) -> Option<Duration> {
    // SAFETY: the kernel wrote the control messages and their length; the macros stay within both.
    let mut message = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !message.is_null() {
        // SAFETY: as above; the pointer is not null, and control buffers are aligned as their headers are.
        let found = unsafe { &*message };
        if (found.cmsg_level, found.cmsg_type) == (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) {
            // SAFETY: a message of this type holds a timespec; it is read without regard to alignment.
            let time = unsafe { libc::CMSG_DATA(message).cast::<libc::timespec>().read_unaligned() };
            return Some(Duration::new(u64::try_from(time.tv_sec).ok()?, u32::try_from(time.tv_nsec).ok()?));
        }
        // SAFETY: as above.
        message = unsafe { libc::CMSG_NXTHDR(header, message) };
    }
    None
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

    use super::super::PacketPort;
    use super::super::udp_port::UdpPort;
    use super::*;

    #[test]
    fn everything_that_waits_is_handed_over_with_its_source() {
        for ip in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(receiver) = UdpSocket::bind(ip) else { continue };
            let sender = UdpSocket::bind(ip).expect("loopback");
            let to = receiver.local_addr().expect("bound");
            (0..20u8).for_each(|n| assert!(sender.send_to(&[n; 5], to).is_ok()));
            let mut seen = vec![];
            drain(receiver.as_raw_fd(), &mut |datagram| seen.push((datagram.source, datagram.bytes.to_vec())));
            let from = sender.local_addr().expect("bound");
            assert_eq!(seen, (0..20u8).map(|n| (from, vec![n; 5])).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_datagram_is_as_old_as_its_arrival_and_not_as_its_reading() {
        let receiver = UdpPort::bind("127.0.0.1:0".parse().expect("an address"));
        let (Ok(mut receiver), Ok(sender)) = (receiver, UdpSocket::bind("127.0.0.1:0")) else { return };
        let to = receiver.addresses().expect("bound").1;
        // The kernel begins to stamp a moment after the first socket of the machine has asked for it.
        let is_stamped = (0..1000).any(|_| {
            let before = SystemTime::now();
            assert!(sender.send_to(&[7; 12], to).is_ok());
            let arrived = SystemTime::now();
            while arrived.elapsed().is_ok_and(|waited| waited < Duration::from_millis(3)) {
                std::hint::spin_loop();
            }
            let least = arrived.elapsed().expect("the clock goes on");
            let mut age = None;
            receiver.drain_control(&mut |datagram| age = Some(datagram.age));
            let most = before.elapsed().expect("the clock goes on");
            let age = age.expect("it was there");
            assert!(age <= most, "{age:?} <= {most:?}");
            least <= age
        });
        assert!(is_stamped);
    }
}
