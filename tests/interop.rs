//! Other people's stacks over real sockets: baresip and linphone as telephones, Kamailio as the proxy in front.
//!
//! Ports are ephemeral and on loopback; every process is ended by its own handle.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bellhop_sip::hop::Transport;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

#[path = "support/node.rs"]
#[allow(dead_code)] // what other tests need of it
mod node;

use node::{Node, folder};

/// A telephone that is driven over its control socket.
struct Baresip {
    process: Child,
    control: TcpStream,
    folder: PathBuf,
}

impl Baresip {
    fn start(account: &str, rate: u32, channels: u32) -> Self {
        let folder = folder();
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
        // Its file source wants the rate and channels of the codec.
        let samples = (0..rate * 10).flat_map(|n| {
            let sample = ((f64::from(n) * 1600.0 / f64::from(rate)).sin() * 3000.0) as i16;
            std::iter::repeat_n(sample.to_le_bytes(), channels as usize).flatten()
        });
        let samples: Vec<u8> = samples.collect();
        std::fs::write(folder.join("tone.wav"), wav(&samples, rate, channels)).expect("written");
        let sound = folder.join("tone.wav");
        let modules = ["g711", "g722", "opus", "aufile", "srtp"];
        let modules: String = modules.iter().map(|name| format!("module {name}.so\n")).collect();
        let config = format!(
            "module_path /usr/lib/baresip/modules\n{modules}module_app account.so\nmodule_app menu.so\nmodule_app ctrl_tcp.so\n\
             ctrl_tcp_listen 127.0.0.1:{port}\nsip_listen 127.0.0.1:0\nsip_verify_server no\naudio_source aufile,{sound}\n\
             audio_player aufile,{heard}\naudio_alert aufile,{heard}\nnet_interface 127.0.0.1\nrtp_timeout 0\n\
             opus_bitrate 24000\ncall_max_calls 4\n",
            sound = sound.display(),
            heard = folder.join("heard.wav").display(),
        );
        std::fs::write(folder.join("config"), config).expect("written");
        std::fs::write(folder.join("accounts"), format!("{account}\n")).expect("written");
        std::fs::write(folder.join("contacts"), "").expect("written");
        let log = std::fs::File::create(folder.join("log")).expect("a log");
        let process = Command::new("baresip")
            .arg("-f")
            .arg(&folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .expect("baresip is installed: see README");
        let deadline = Instant::now() + Duration::from_secs(20);
        let control = loop {
            match TcpStream::connect(("127.0.0.1", port)) {
                Ok(stream) => break stream,
                Err(error) => assert!(Instant::now() < deadline, "baresip does not listen: {error}"),
            }
            std::thread::yield_now();
        };
        control.set_read_timeout(Some(Duration::from_millis(200))).expect("a limit");
        Self { process, control, folder }
    }

    /// Sends a command: a netstring of JSON.
    fn command(&mut self, command: &str, parameters: &str) {
        let json = format!("{{\"command\":\"{command}\",\"params\":\"{parameters}\"}}");
        write!(self.control, "{}:{json},", json.len()).expect("sent");
    }

    /// Reads events until one contains the word.
    fn waits_for(&mut self, word: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut seen = String::new();
        let mut buffer = [0; 8192];
        while !seen.contains(word) {
            let log = || std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "baresip never said {word}: {seen}\n{}", log());
            if let Ok(length) = self.control.read(&mut buffer) {
                seen.push_str(&String::from_utf8_lossy(&buffer[..length]));
            }
        }
    }
}

impl Drop for Baresip {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

/// 16-bit samples as a WAV file.
fn wav(samples: &[u8], rate: u32, channels: u32) -> Vec<u8> {
    let length = samples.len() as u32;
    let mut bytes = b"RIFF".to_vec();
    bytes.extend((36 + length).to_le_bytes());
    bytes.extend(b"WAVEfmt ");
    for word in [16, (channels << 16) | 1, rate, rate * channels * 2, (16 << 16) | (channels * 2)] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(b"data");
    bytes.extend(length.to_le_bytes());
    bytes.extend(samples);
    bytes
}

/// Every transport with every way of audio: answered, heard, held and resumed, and a key that ends the conversation.
#[test]
fn baresip_calls_over_every_transport_with_every_codec() {
    let node = Node::start("counting", "");
    let cases = [
        ("udp", "PCMU/8000/1", ""),
        ("tcp", "PCMA/8000/1", ""),
        ("udp", "G722/16000/1", ""),
        ("udp", "opus/48000/2", ""),
        ("tls", "PCMU/8000/1", ";mediaenc=srtp-mand"),
        ("tls", "opus/48000/2", ";mediaenc=srtp"),
    ];
    for (n, (transport, codec, security)) in cases.into_iter().enumerate() {
        let what = format!("{codec} over {transport}{security}");
        let account = format!("<sip:caller@127.0.0.1;transport={transport}>;regint=0;audio_codecs={codec}{security}");
        let (rate, channels) = match codec.split('/').next() {
            Some("opus") => (48_000, 2),
            Some("G722") => (16_000, 1),
            _ => (8000, 1),
        };
        let mut phone = Baresip::start(&account, rate, channels);
        let at = if transport == "udp" { node.udp } else { node.tcp };
        let before = node.metric("bellhop_recognizer_samples_total");
        phone.command("dial", &format!("sip:+18005550123@{at}"));
        phone.waits_for("CALL_ESTABLISHED");
        let heard = |more: f64| {
            let deadline = Instant::now() + Duration::from_secs(20);
            while node.metric("bellhop_recognizer_samples_total") < before + more {
                assert!(Instant::now() < deadline, "{what}: the caller is not heard");
                std::thread::yield_now();
            }
        };
        heard(8000.0);
        phone.command("hold", "");
        phone.command("resume", "");
        heard(24_000.0);
        phone.command("sndcode", "9");
        phone.waits_for("CALL_CLOSED");
        node.wait_until_idle();
        let ended = node.metric("bellhop_calls_ended_total{tenant=\"acme\",reason=\"assistant_ended\"}");
        assert_eq!(ended, (n + 1) as f64, "{what}: the key ends the conversation");
    }
    assert_eq!(node.metric("bellhop_rtp_packets_dropped_total{reason=\"not_authentic\"}"), 0.0);
}

/// A telephone that is driven over its standard input. Without a sound card: a null device is its default one.
struct Linphone {
    process: Child,
    folder: PathBuf,
}

impl Linphone {
    fn start() -> Self {
        let folder = folder();
        let database = folder.join(".local/share/linphone");
        std::fs::create_dir_all(database).expect("a folder");
        std::fs::write(folder.join(".asoundrc"), "pcm.!default { type null }\nctl.!default { type null }\n")
            .expect("written");
        let port = UdpSocket::bind("127.0.0.1:0").and_then(|s| s.local_addr()).expect("a port").port();
        let config = format!(
            "[sip]\nsip_port={port}\nsip_tcp_port={port}\nsip_tls_port=0\nguess_hostname=0\n\
             [video]\nautomatically_initiate=0\nautomatically_accept=0\n"
        );
        std::fs::write(folder.join("linphonerc"), config).expect("written");
        let said = std::fs::File::create(folder.join("said")).expect("a log");
        let mut process = Command::new("linphonec")
            .arg("-c")
            .arg(folder.join("linphonerc"))
            .env("HOME", &folder)
            .stdin(Stdio::piped())
            .stdout(said.try_clone().expect("a log"))
            .stderr(said)
            .spawn()
            .expect("linphonec is installed: see README");
        writeln!(process.stdin.as_mut().expect("piped"), "soundcard use files").expect("sent");
        let mut this = Self { process, folder };
        this.waits_for("Using wav files", 1);
        this
    }

    fn command(&mut self, line: &str) {
        writeln!(self.process.stdin.as_mut().expect("piped"), "{line}").expect("sent");
    }

    /// Waits until it has said the words so many times.
    fn waits_for(&mut self, words: &str, times: usize) {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let said = std::fs::read_to_string(self.folder.join("said")).unwrap_or_default();
            if said.matches(words).count() >= times {
                return;
            }
            assert!(Instant::now() < deadline, "linphone never said {words}: {said}");
            std::thread::yield_now();
        }
    }
}

impl Drop for Linphone {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

#[test]
fn linphone_calls_over_udp_and_tcp_holds_resumes_and_presses_a_key() {
    let node = Node::start("counting", "");
    for (n, (transport, at)) in [("udp", node.udp), ("tcp", node.tcp)].into_iter().enumerate() {
        let mut phone = Linphone::start();
        phone.command(&format!("call sip:+18005550123@{at};transport={transport}"));
        phone.waits_for("Media streams established", 1);
        phone.command("pause");
        phone.waits_for("is now paused", 1);
        phone.command("resume");
        phone.waits_for("Media streams established", 2);
        phone.command("9");
        phone.waits_for("ended", 1);
        node.wait_until_idle();
        let ended = node.metric("bellhop_calls_ended_total{tenant=\"acme\",reason=\"assistant_ended\"}");
        assert_eq!(ended, (n + 1) as f64, "over {transport}: the key ends the conversation");
    }
}

/// A proxy that records its route, and tries the second node when the first is full.
struct Kamailio {
    process: Child,
    address: SocketAddr,
    folder: PathBuf,
}

impl Kamailio {
    fn start(first: SocketAddr, second: SocketAddr) -> Self {
        let folder = folder();
        let address = UdpSocket::bind("127.0.0.1:0").and_then(|s| s.local_addr()).expect("a port");
        let config = format!(
            "debug=0\nlog_stderror=yes\nfork=yes\nchildren=1\ndisable_tcp=yes\nauto_aliases=no\nlisten=udp:{address}\n\
             loadmodule \"tm.so\"\nloadmodule \"sl.so\"\nloadmodule \"rr.so\"\nloadmodule \"pv.so\"\nloadmodule \"siputils.so\"\nloadmodule \"textops.so\"\n\
             request_route {{\n  if (is_method(\"CANCEL\")) {{ if (t_check_trans()) t_relay(); exit; }}\n\
               if (has_totag()) {{ loose_route(); t_relay(); exit; }}\n\
               if (is_method(\"OPTIONS\")) {{ sl_send_reply(\"200\", \"Here\"); exit; }}\n\
               record_route();\n  t_on_failure(\"NEXT\");\n  $du = \"sip:{first}\";\n  t_relay();\n}}\n\
             failure_route[NEXT] {{\n  if (t_check_status(\"503\")) {{ $du = \"sip:{second}\"; t_relay(); }}\n}}\n"
        );
        std::fs::write(folder.join("kamailio.cfg"), config).expect("written");
        let process = Command::new("kamailio")
            .arg("-f")
            .arg(folder.join("kamailio.cfg"))
            .args(["-DD", "-E", "-m", "32", "-M", "4", "-Y"])
            .arg(&folder)
            .stderr(std::fs::File::create(folder.join("log")).expect("a log"))
            .spawn()
            .expect("kamailio is installed: see README");
        let this = Self { process, address, folder };
        this.wait_until_it_answers();
        this
    }

    fn wait_until_it_answers(&self) {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a limit");
        let (at, here) = (self.address, socket.local_addr().expect("bound"));
        let deadline = Instant::now() + Duration::from_secs(20);
        for n in 0.. {
            let probe = format!(
                "OPTIONS sip:x@{at} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bKp{n}\r\nMax-Forwards: 9\r\nFrom: <sip:p@{here}>;tag=p\r\nTo: <sip:x@{at}>\r\nCall-ID: probe{n}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
            );
            let _ = socket.send_to(probe.as_bytes(), at);
            let mut buffer = [0; 2048];
            if socket.recv(&mut buffer).is_ok() {
                return;
            }
            let log = || std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "kamailio does not answer: {}", log());
        }
    }
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        // Asked, not killed: it ends its children itself.
        let _ = kill(Pid::from_raw(self.process.id() as i32), Signal::SIGTERM);
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn kamailio_in_front_records_its_route_and_turns_to_the_second_node_when_the_first_is_full() {
    let first = Node::start("counting", "");
    let config = std::fs::read_to_string(first.folder.join("bellhop.toml")).expect("written");
    std::fs::write(first.folder.join("full.toml"), config.replace("drain_seconds", "max_calls = 1\ndrain_seconds"))
        .expect("written");
    let full = Node::serve(&first.folder.join("full.toml"), folder(), first.connect.clone());
    let second = Node::start("counting", "");
    let proxy = Kamailio::start(full.udp, second.udp);
    // Three calls at once: one finds room at the first node, the others are served by the second.
    full.sipp_at(proxy.address, "behind_kamailio/through_a_proxy", Transport::Udp, "+18005550123", 3);
    full.wait_until_idle();
    second.wait_until_idle();
    let served = |node: &Node| node.metric("bellhop_calls_ended_total{tenant=\"acme\",reason=\"caller_hung_up\"}");
    assert_eq!((served(&full), served(&second)), (1.0, 2.0));
    assert_eq!(full.metric("bellhop_sip_responses_total{status=\"503\"}"), 2.0);
}
