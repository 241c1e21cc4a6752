//! Strangers with sockets, against the real binary: connections that say one byte, floods of datagrams, and a stranger's own
//! account of a contact.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};

use bellhop_rehearsal::caller::Line;
use bellhop_rehearsal::connect::{AccessKey, StandIn};
use bellhop_sip::hop::Transport;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, socket};

#[path = "support/node.rs"]
#[allow(dead_code)] // no SIPp here
mod node;

use node::{INSTANCE, Node, config, folder};

/// A node that anybody may call.
fn open_node() -> Node {
    let key = AccessKey { id: "AKIATEST".into(), secret: "secret".into() };
    let stand_in = StandIn::new(INSTANCE.parse().expect("an ARN"), key, false);
    let at = stand_in.serve(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("a free port");
    let folder = folder();
    let path = config(&folder, at, "counting", "");
    let text = std::fs::read_to_string(&path).expect("written").replace(" from 127.0.0.0/8", "");
    std::fs::write(&path, text).expect("written");
    Node::serve(&path, folder, stand_in)
}

/// A connection from an address of this machine.
fn connect_from(from: [u8; 4], to: SocketAddr) -> TcpStream {
    let SocketAddr::V4(to) = to else { panic!("IPv4") };
    let made = socket(AddressFamily::Inet, SockType::Stream, SockFlag::empty(), None).expect("a socket");
    let [a, b, c, d] = from;
    bind(std::os::fd::AsRawFd::as_raw_fd(&made), &SockaddrIn::new(a, b, c, d, 0)).expect("an address of ours");
    connect(std::os::fd::AsRawFd::as_raw_fd(&made), &SockaddrIn::from(to)).expect("the backlog has room");
    TcpStream::from(made)
}

fn options(transport: &str, n: usize) -> String {
    format!(
        "OPTIONS sip:gateway SIP/2.0\r\nVia: SIP/2.0/{transport} 127.0.0.1:5099;branch=z9hG4bKo{n};rport\r\nMax-Forwards: 70\r\nFrom: <sip:a@127.0.0.1>;tag={n}\r\nTo: <sip:gateway>\r\nCall-ID: options-{n}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
}

fn is_answered(stream: &mut TcpStream, n: usize) -> bool {
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a limit");
    let mut bytes = [0; 2048];
    stream.write_all(options("TCP", n).as_bytes()).is_ok()
        && matches!(stream.read(&mut bytes), Ok(length) if bytes[..length].starts_with(b"SIP/2.0 200"))
}

/// The case "4,096 connections with one byte each from one address", as many as descriptors allow: see
/// `actors/signalling/doors.rs`.
#[test]
fn connections_of_one_byte_from_one_address_leave_room_for_others() {
    let node = open_node();
    let mut crowd: Vec<TcpStream> = (0..400).map(|_| connect_from([127, 0, 0, 66], node.tcp)).collect();
    crowd.iter_mut().for_each(|stream| _ = stream.write_all(b"I"));
    assert!(is_answered(&mut connect_from([127, 0, 0, 67], node.tcp), 1), "others get in");
    let closed = |stream: &mut TcpStream| {
        stream.set_nonblocking(true).expect("a socket");
        !matches!(stream.read(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
    };
    let deadline = Instant::now() + Duration::from_secs(5);
    while crowd.iter_mut().filter_map(|stream| closed(stream).then_some(())).count() < 144 && Instant::now() < deadline
    {
        std::thread::yield_now();
    }
    assert_eq!(crowd.iter_mut().filter_map(|stream| closed(stream).then_some(())).count(), 144, "256 of a source");
    drop(crowd);
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut served = false;
    while !served && Instant::now() < deadline {
        served = is_answered(&mut connect_from([127, 0, 0, 66], node.tcp), 2);
    }
    assert!(served, "places come back");
}

/// Datagrams in a trunk's name, by thousands, while its call is up over TCP: the call is led to its end, and the next is taken.
#[test]
fn a_flood_in_a_trunks_name_costs_the_trunk_nothing() {
    let node = Node::start("counting", "");
    let to = node.udp;
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopped = std::sync::Arc::clone(&stop);
    let flood = std::thread::spawn(move || {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let mut n = 0;
        while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
            for method in ["REGISTER", "MESSAGE", "INVITE"] {
                let text = options("UDP", n)
                    .replace("OPTIONS", method)
                    .replace("\r\nMax", "\r\nContact: <sip:a@127.0.0.1>\r\nMax");
                let _ = socket.send_to(text.as_bytes(), to);
                n += 1;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        n
    });
    let press = vec![Line::AtOnce(Duration::from_millis(300)), Line::Press("0".into())];
    let _ = node.call(Transport::Tcp, "contact-flood", press.clone());
    let _ = node.call(Transport::Udp, "contact-again", press);
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(flood.join().expect("it runs") > 100);
    assert_eq!(node.connect.written().len(), 2, "both callers are handed over");
    assert_eq!(node.metric("bellhop_sip_messages_dropped_total{reason=\"shut_out\"}"), 0.0);
    let left = node.metric("bellhop_sip_transactions ");
    assert!(left < 20.0, "what is refused leaves nothing behind: {left}");
}

/// Over plain UDP, to a node that anybody may call: the call is served, and nothing is written.
#[test]
fn a_strangers_own_account_of_a_contact_counts_for_nothing() {
    let node = open_node();
    let press = vec![Line::AtOnce(Duration::from_millis(300)), Line::Press("9".into())];
    let _ = node.call(Transport::Udp, "contact-stolen", press);
    node.wait_until_idle();
    assert!(node.connect.written().is_empty());
    let series = "bellhop_calls_without_contact_total{tenant=\"acme\",reason=\"unrestricted_source\"}";
    assert_eq!(node.metric(series), 1.0);
    let path = node.folder.join("bellhop.toml");
    let output =
        Command::new(env!("CARGO_BIN_EXE_bellhop")).args(["check", "--config"]).arg(path).output().expect("runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("warning: tenant `acme`: anybody can call it"), "{said}");
}
