//! The caller's audio: packets in and out of one leg, keys as telephone-events, noise and losses as the conditions have it.

use std::collections::VecDeque;
use std::io;
use std::time::Instant;

use bellhop_media::codec::{Codec, Encoder};
use bellhop_media::dtmf::Digit;
use bellhop_media::g711::Law;
use bellhop_media::latch::Expected;
use bellhop_media::receiver::{EventFormat, Receiver, StreamFormat};
use bellhop_media::resample;
use bellhop_media::rtp::{PACKET_BYTES_MAX, Packet};
use bellhop_media::srtp::{Inbound, MasterKey, Outbound, Suite};
use bellhop_media::{FRAME_SAMPLES, Frame};
use bellhop_sip::sdp::crypto::CryptoKey;
use bellhop_sip::sdp::{self, Agreed};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::net::UdpSocket;

use super::Conditions;
use super::network::Network;

/// Frames of one key: 100 ms down, then the three end packets.
const KEY_FRAMES: u16 = 5;

pub(super) struct Stream {
    pub(super) receiver: Receiver,
    agreed: Agreed,
    codec: Codec,
    encoder: Encoder,
    seal: Option<Outbound>,
    pub(super) speaking: Vec<i16>,
    pub(super) at: usize,
    pub(super) keys: VecDeque<Digit>,
    key: Option<(Digit, u16, u32)>,
    conditions: Conditions,
    chance: StdRng,
    background_at: usize,
    network: Network,
    /// When the network saw its first packet, and what it keeps back until when.
    began: Instant,
    under_way: VecDeque<(Instant, Vec<u8>)>,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
}

impl Stream {
    /// A stream as it was agreed on, on which nothing is said yet.
    pub(super) fn new(agreed: Agreed, conditions: Conditions) -> Self {
        let codec = match agreed.codec {
            sdp::Codec::Pcmu => Codec::G711(Law::Mu),
            sdp::Codec::Pcma => Codec::G711(Law::A),
            sdp::Codec::G722 => Codec::G722,
            sdp::Codec::Opus => Codec::Opus,
        };
        let telephone_event = agreed
            .telephone_event
            .map(|event| EventFormat { payload_type: event.payload_type, clock_rate: event.clock_rate });
        let format = StreamFormat { codec, payload_type: agreed.payload_type, telephone_event, comfort_noise: None };
        let mut receiver = Receiver::new(format, Expected::at(agreed.remote));
        let keys = agreed.keys.clone();
        receiver.secure(keys.as_ref().and_then(|keys| Some(Inbound::new(&master(&keys.remote)?, 0))));
        Self {
            receiver,
            agreed,
            codec,
            encoder: Encoder::new(codec),
            seal: keys.and_then(|keys| Some(Outbound::new(&master(&keys.local)?))),
            speaking: vec![],
            at: 0,
            keys: VecDeque::new(),
            key: None,
            chance: StdRng::seed_from_u64(conditions.seed),
            background_at: 0,
            network: Network::new(&conditions),
            began: Instant::now(),
            under_way: VecDeque::new(),
            conditions,
            sequence: rand::random(),
            timestamp: rand::random(),
            ssrc: rand::random(),
        }
    }

    pub(super) fn is_busy(&self) -> bool {
        self.at < self.speaking.len() || !self.keys.is_empty() || self.key.is_some()
    }

    /// Sends one packet and returns the 20 ms it stands for.
    pub(super) async fn send(&mut self, audio: &UdpSocket) -> io::Result<Frame> {
        let mut frame: Frame = [0; FRAME_SAMPLES];
        let step = self.conditions.sample_rate as usize / 8000;
        if self.key.is_none() {
            self.key = self.keys.pop_front().map(|digit| (digit, 0, self.timestamp));
        }
        match (self.key, self.agreed.telephone_event) {
            (Some((digit, frames, began)), Some(event)) => {
                let ends = frames >= KEY_FRAMES;
                let payload_type = event.payload_type;
                let duration = (frames.min(KEY_FRAMES) + 1) * (event.clock_rate / 50) as u16;
                let [high, low] = duration.to_be_bytes();
                let payload = [digit.event(), if ends { 0x8a } else { 0x0a }, high, low];
                self.packet(audio, payload_type, frames == 0, began, &payload).await?;
                // A pause of 60 ms follows the last end packet, so that two keys are two.
                self.key = (frames < KEY_FRAMES + 3).then_some((digit, frames + 1, began));
            }
            _ => {
                self.key = None;
                let left = &self.speaking[self.at.min(self.speaking.len())..];
                let take = left.len().min(FRAME_SAMPLES * step);
                let mut sound = vec![0; FRAME_SAMPLES * step];
                sound[..take].copy_from_slice(&left[..take]);
                self.at += take;
                if self.conditions.noise > 0 {
                    let noise = self.conditions.noise;
                    sound.iter_mut().for_each(|s| *s = s.saturating_add(self.chance.random_range(-noise..=noise)));
                }
                self.add_background(&mut sound);
                // What is kept is at 8 kHz, whatever the line.
                frame = std::array::from_fn(|n| sound[n * step]);
                let line = resample::clip(&sound, self.conditions.sample_rate, self.codec.sample_rate());
                let mut payload = [0; 480];
                let length = self.encoder.encode(&line, &mut payload);
                self.packet(audio, self.agreed.payload_type, false, self.timestamp, &payload[..length]).await?;
            }
        }
        self.timestamp = self.timestamp.wrapping_add(self.codec.clock_rate() / 50);
        Ok(frame)
    }

    async fn packet(
        &mut self,
        audio: &UdpSocket,
        payload_type: u8,
        marker: bool,
        timestamp: u32,
        payload: &[u8],
    ) -> io::Result<()> {
        let packet = Packet { payload_type, marker, sequence: self.sequence, timestamp, ssrc: self.ssrc, payload };
        self.sequence = self.sequence.wrapping_add(1);
        let now = Instant::now();
        let Some(arrival) = self.network.arrival(now - self.began) else { return Ok(()) };
        let mut buffer = [0; PACKET_BYTES_MAX];
        if let Some(length) = packet.write(&mut buffer) {
            let length = self.seal.as_mut().map_or(length, |seal| seal.protect(&mut buffer, length));
            self.under_way.push_back((self.began + arrival, buffer[..length].to_vec()));
            self.deliver(audio, now).await;
        }
        Ok(())
    }

    /// When the next packet that is kept back arrives.
    pub(super) fn next_arrival(&self) -> Option<Instant> {
        self.under_way.front().map(|(at, _)| *at)
    }

    /// Sends what has been kept back long enough.
    pub(super) async fn deliver(&mut self, audio: &UdpSocket, now: Instant) {
        while let Some((_, datagram)) = self.under_way.pop_front_if(|(at, _)| *at <= now) {
            // The far end may be gone already; its BYE is on the way.
            let _ = audio.send_to(&datagram, self.agreed.remote).await;
        }
    }

    /// What is around the caller, under what they say.
    fn add_background(&mut self, sound: &mut [i16]) {
        let around = &self.conditions.background;
        if around.is_empty() {
            return;
        }
        for sample in sound {
            *sample = sample.saturating_add(around[self.background_at % around.len()]);
            self.background_at += 1;
        }
    }
}

fn master(key: &CryptoKey) -> Option<MasterKey> {
    MasterKey::new(Suite::named(key.suite.token())?, &key.key_and_salt)
}
