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

/// Lines that touch nothing of the audio, as the field writes them.
#[test]
fn odd_lines_are_left_out_and_blanks_make_no_difference() {
    let plain = agreed(VOICE_CONNECTOR, &local()).expect("fits");
    for (from, to) in [
        ("o=Sonus_UAC 1 1", "o=- -1 -1"),
        ("o=Sonus_UAC 1 1 IN IP4 3.80.17.149\r\n", "o=\r\n"),
        ("s=-", "s="),
        ("t=0 0", "t=now"),
        ("t=0 0", "b=AS:lots\r\nt=0 0\r\nr=x"),
        ("\r\n", " \t\r\n"),
        ("\r\n", "\n"),
        ("\r\n", "\r"),
        ("m=audio 36488 RTP/AVP 0 101", "m=AUDIO  36488\trtp/avp  0 101 "),
        ("m=audio 36488", "m=audio 36488/2"),
        ("a=rtpmap:0 PCMU/8000", "a=rtpmap:0 PCMU"),
        ("a=rtpmap:0 PCMU/8000", "a=rtpmap: 0\tpcmu / 8000 / 1"),
        ("telephone-event/8000", "telephone-event/8000/1"),
        ("telephone-event/8000", "telephone-event"),
        ("a=rtpmap:101 telephone-event/8000\r\n", ""),
        ("a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n", ""),
        ("a=fmtp:101 0-15", "a=fmtp:101 0-11,16"),
        ("a=ptime:20", "a=ptime:0"),
        ("a=ptime:20", "a=ptime:-20\r\na=maxptime:nan"),
        ("a=sendrecv", "a=SendRecv "),
        ("a=rtcp:36489", "a=rtcp:x"),
        ("c=IN IP4 3.80.17.149", "c=in  ip4 3.80.17.149/127"),
    ] {
        let offer = VOICE_CONNECTOR.replace(from, to);
        assert_ne!(offer, VOICE_CONNECTOR, "{from}");
        assert_eq!(agreed(&offer, &local()).as_ref(), Ok(&plain), "{from:?} -> {to:?}");
    }
    let mut latin = VOICE_CONNECTOR.as_bytes().to_vec();
    let name = latin.windows(3).position(|w| w == b"s=-").expect("a name");
    latin[name + 2] = 0xfc;
    assert_eq!(answer(&latin, &local()).map(|(_, agreed)| agreed), Ok(plain));
    let (sdp, _) = answer(VOICE_CONNECTOR.replace("m=audio", "m=AUDIO").as_bytes(), &local()).expect("fits");
    assert!(sdp.contains("m=AUDIO 20000 RTP/AVP 0 101"), "as it was written: {sdp}");
}

#[test]
fn what_is_needed_and_cannot_be_read_is_told_by_its_line() {
    for (from, to, expected) in [
        ("m=audio 36488", "m=audio many", "line 6: m=audio many RTP/AVP 0 101"),
        ("RTP/AVP 0 101", "RTP/AVP", "line 6: m=audio 36488 RTP/AVP"),
        ("m=audio 36488", "m=audio 99999", "line 6: m=audio 99999 RTP/AVP 0 101"),
        ("c=IN IP4 3.80.17.149", "c=IN \"IP4\"", "line 4: c=IN IP4"),
        ("c=IN IP4 3.80.17.149\r\n", "", "line 5: m=audio 36488 RTP/AVP 0 101"),
    ] {
        let refused = agreed(&VOICE_CONNECTOR.replace(from, to), &local()).expect_err("refused");
        assert_eq!(refused.status().0, 488);
        let warning = refused.warning();
        assert!(warning.starts_with("399 bellhop \"") && warning.contains(expected), "{warning}");
        assert_eq!(warning.matches('"').count(), 2, "{warning}");
    }
    // A stream that can be used is not spoilt by one that cannot be read.
    let spoilt = VOICE_CONNECTOR.replace("m=audio", "m=video x\r\nm=audio many RTP/AVP 0\r\nm=audio");
    let (sdp, _) = answer(spoilt.as_bytes(), &local()).expect("fits");
    let lines: Vec<_> = sdp.lines().filter(|l| l.starts_with("m=")).collect();
    assert_eq!(lines, ["m=video 0 RTP/AVP 0", "m=audio 0 RTP/AVP 0", "m=audio 20000 RTP/AVP 0 101"]);
}

/// A format that says nothing of itself is an event only where it can be one.
#[test]
fn formats_without_a_mapping_are_not_guessed_at() {
    for (formats, fmtp, expected) in [
        ("0 100", "a=fmtp:100 0-16", Some(100)),
        ("0 100", "a=fmtp:100 mode=1", None),
        ("0 100", "a=x", None),
        ("0 18", "a=fmtp:18 0-15", None),
        ("0 101", "a=fmtp:101 annexb=no", None),
    ] {
        let offer = VOICE_CONNECTOR
            .replace("RTP/AVP 0 101", &format!("RTP/AVP {formats}"))
            .replace("a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15", fmtp);
        let event = agreed(&offer, &local()).expect("fits").telephone_event;
        assert_eq!(event.map(|event| event.payload_type), expected, "{formats} {fmtp}");
    }
}

/// Each format is looked for in every attribute, by every codec of ours: one datagram could keep a core busy for a minute.
#[test]
fn a_stream_has_no_more_formats_than_there_are_payload_types() {
    let offer = |before: usize| VOICE_CONNECTOR.replacen("RTP/AVP", &format!("RTP/AVP{}", " 99".repeat(before)), 1);
    assert_eq!(answer(offer(127).as_bytes(), &local()).map(|(_, agreed)| agreed.codec), Ok(Codec::Pcmu));
    assert_eq!(answer(offer(128).as_bytes(), &local()), Err(SdpRefused::NothingFits));
    let longest = offer(20_000) + &"a=rtpmap:98 x/8000\r\n".repeat(1000);
    assert_eq!(answer(longest.as_bytes(), &local()), Err(SdpRefused::NothingFits));
}
