//! Offers as carriers send them.

use super::*;

fn local() -> LocalMedia {
    LocalMedia {
        address: "203.0.113.7:20000".parse().expect("an address"),
        session_id: 7,
        version: 1,
        codecs: Codec::ALL.into(),
        security: Security::Preferred,
        keys: KeyMaterial([5; 92]),
    }
}

const EVENT: TelephoneEvent = TelephoneEvent { payload_type: 101, clock_rate: 8000 };

/// The shape a real Voice Connector sends.
const VOICE_CONNECTOR: &str = "v=0\r\no=Sonus_UAC 1 1 IN IP4 3.80.17.149\r\ns=-\r\nc=IN IP4 3.80.17.149\r\nt=0 0\r\nm=audio 36488 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=rtcp:36489\r\na=ptime:20\r\na=sendrecv\r\n";

#[test]
fn a_voice_connector_offer_is_answered() {
    let (sdp, agreed) = answer(VOICE_CONNECTOR.as_bytes(), &local()).expect("fits");
    assert_eq!(agreed.remote, "3.80.17.149:36488".parse().expect("address"));
    assert_eq!((agreed.codec, agreed.payload_type, agreed.telephone_event), (Codec::Pcmu, 0, Some(EVENT)));
    assert!(sdp.contains("m=audio 20000 RTP/AVP 0 101\r\n") && sdp.contains("c=IN IP4 203.0.113.7\r\n"), "{sdp}");
    assert_eq!(read_answer(sdp.as_bytes(), &local()).expect("own answer").remote, local().address);
}

#[test]
fn other_streams_are_refused_in_their_place() {
    let offer =
        VOICE_CONNECTOR.replacen("m=audio", "m=video 4000 RTP/AVP 96\r\nm=audio", 1) + "m=audio 5000 RTP/AVP 0\r\n";
    let (sdp, _) = answer(offer.as_bytes(), &local()).expect("fits");
    let lines: Vec<_> = sdp.lines().filter(|l| l.starts_with("m=")).collect();
    assert_eq!(lines, ["m=video 0 RTP/AVP 96", "m=audio 20000 RTP/AVP 0 101", "m=audio 0 RTP/AVP 0"]);
}

#[test]
fn dynamic_mappings_directions_and_hold_are_read() {
    let held = VOICE_CONNECTOR.replace("RTP/AVP 0 101", "RTP/AVP 18 97 8").replace("rtpmap:0 PCMU", "rtpmap:97 PCMA");
    let agreed = answer(held.replace("sendrecv", "sendonly").as_bytes(), &local()).expect("fits").1;
    assert_eq!((agreed.codec, agreed.payload_type, agreed.telephone_event), (Codec::Pcma, 97, None));
    assert_eq!(agreed.direction, Direction::RecvOnly);
    let old_hold = VOICE_CONNECTOR.replace("c=IN IP4 3.80.17.149", "c=IN IP4 0.0.0.0");
    assert_eq!(answer(old_hold.as_bytes(), &local()).expect("fits").1.direction, Direction::RecvOnly);
}

#[test]
fn nothing_that_fits_is_said() {
    for offer in [VOICE_CONNECTOR.replace("AVP 0 101", "AVP 18"), VOICE_CONNECTOR.replace("audio 36488", "audio 0")] {
        assert_eq!(answer(offer.as_bytes(), &local()).expect_err("refused"), SdpRefused::NothingFits);
    }
    assert_eq!(answer(b"hello", &local()).expect_err("refused"), SdpRefused::Malformed);
}

const KEY: &str = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";

fn agreed(offer: &str, local: &LocalMedia) -> Result<Agreed, SdpRefused> {
    answer(offer.as_bytes(), local).map(|(_, agreed)| agreed)
}

#[test]
fn our_order_of_codecs_decides() {
    let all = VOICE_CONNECTOR
        .replace("RTP/AVP 0 101", "RTP/AVP 107 9 0 8 101")
        .replace("a=ptime", "a=rtpmap:107 opus/48000/2\r\na=rtpmap:102 telephone-event/48000\r\na=ptime");
    assert_eq!(agreed(&all, &local()).expect("fits").codec, Codec::Pcmu);
    let broadband = LocalMedia { codecs: [Codec::Opus, Codec::G722].into(), ..local() };
    let opus = agreed(&all, &broadband).expect("fits");
    assert_eq!((opus.codec, opus.payload_type, opus.telephone_event), (Codec::Opus, 107, Some(EVENT)));
    let own_clock = all.replace("8 101", "8 101 102");
    let event = agreed(&own_clock, &broadband).expect("fits").telephone_event.expect("both can");
    assert_eq!((event.payload_type, event.clock_rate), (102, 48_000));
    let g722 = LocalMedia { codecs: [Codec::G722].into(), ..local() };
    assert_eq!(agreed(&all, &g722).expect("fits").payload_type, 9);
}

#[test]
fn keys_are_agreed_on_by_policy() {
    let crypto = format!("a=crypto:4 AES_CM_128_HMAC_SHA1_80 inline:{KEY}\r\na=ptime");
    let plain = VOICE_CONNECTOR.to_owned();
    let keyed = VOICE_CONNECTOR.replace("a=ptime", &crypto);
    let saved = keyed.replace("RTP/AVP", "RTP/SAVP");
    let saved_without = VOICE_CONNECTOR.replace("RTP/AVP", "RTP/SAVP");
    for (security, offer, expected) in [
        (Security::Off, &plain, Ok(false)),
        (Security::Off, &keyed, Ok(false)),
        (Security::Off, &saved, Err(SdpRefused::Security)),
        (Security::Preferred, &plain, Ok(false)),
        (Security::Preferred, &keyed, Ok(true)),
        (Security::Preferred, &saved, Ok(true)),
        (Security::Preferred, &saved_without, Err(SdpRefused::Security)),
        (Security::Required, &plain, Err(SdpRefused::Security)),
        (Security::Required, &keyed, Ok(true)),
        (Security::Required, &saved, Ok(true)),
    ] {
        let local = LocalMedia { security, ..local() };
        assert_eq!(agreed(offer, &local).map(|a| a.keys.is_some()), expected, "{security:?} {offer}");
    }
    let (sdp, _) = answer(saved.as_bytes(), &local()).expect("fits");
    assert!(sdp.contains("RTP/SAVP 0 101\r\n") && sdp.contains("a=crypto:4 AES_CM_128_HMAC_SHA1_80 inline:"), "{sdp}");
    assert!(!sdp.contains(KEY), "each side has a key of its own");
}

#[test]
fn packet_lengths_and_rtcp_are_agreed_on() {
    for (wish, expected) in [("ptime:10", 10), ("ptime:30", 30), ("ptime:120", 60), ("ptime:25", 20), ("x:1", 20)] {
        assert_eq!(agreed(&VOICE_CONNECTOR.replace("ptime:20", wish), &local()).expect("fits").ptime_ms, expected);
    }
    let own = agreed(VOICE_CONNECTOR, &local()).expect("fits");
    assert_eq!((own.rtcp_mux, own.remote_control.port()), (false, 36489));
    let (sdp, muxed) =
        answer(VOICE_CONNECTOR.replace("a=ptime", "a=rtcp-mux\r\na=ptime").as_bytes(), &local()).expect("fits");
    assert_eq!((muxed.rtcp_mux, muxed.remote_control.port()), (true, 36488));
    assert!(sdp.contains("a=rtcp-mux\r\n"));
}

#[test]
fn comfort_noise_is_taken_where_offered() {
    let (sdp, agreed) =
        answer(VOICE_CONNECTOR.replace("AVP 0 101", "AVP 0 13 101").as_bytes(), &local()).expect("fits");
    assert_eq!(agreed.comfort_noise, Some(13));
    assert!(sdp.contains("RTP/AVP 0 101 13\r\n") && sdp.contains("a=rtpmap:13 CN/8000\r\n"), "{sdp}");
}

#[test]
fn ipv6_and_names_are_addresses_too() {
    let six = VOICE_CONNECTOR.replace("IN IP4 3.80.17.149", "IN IP6 2001:db8::7");
    assert_eq!(agreed(&six, &local()).expect("fits").signalled(), "[2001:db8::7]:36488".parse().ok());
    let named = VOICE_CONNECTOR.replace("c=IN IP4 3.80.17.149", "c=IN IP4 media.example.com");
    let agreed = agreed(&named, &local()).expect("fits");
    assert_eq!((agreed.signalled(), agreed.direction), (None, Direction::SendRecv));
}

#[test]
fn our_own_offer_and_hold_are_understood_by_ourselves() {
    for security in [Security::Off, Security::Preferred, Security::Required] {
        let local = LocalMedia { security, ..local() };
        let (sdp, theirs) = answer(offer(&local).as_bytes(), &local).expect("fits");
        let ours = read_answer(sdp.as_bytes(), &local).expect("fits");
        assert_eq!(ours.keys.is_some(), security != Security::Off, "{security:?}");
        assert_eq!(ours.codec, theirs.codec);
        let held = reoffer(&local, &ours, Direction::SendOnly);
        assert_eq!(agreed(&held, &local).expect("fits").direction, Direction::RecvOnly, "{held}");
    }
}
