//! What a synthesizer gets is well-formed, whatever signs and marks stand in a text.

use super::*;

/// As a document and as plain words.
fn both(text: &str) -> (String, String) {
    let markup = Ssml::read(text);
    (markup.document(), markup.spoken())
}

/// The pieces of what is written are the pieces that were read, tags are balanced, and no sign is left bare.
fn is_well_formed(text: &str) {
    let markup = Ssml::read(text);
    let document = markup.document();
    let again = Ssml::read(&document);
    assert!(again.pieces == markup.pieces, "{document}");
    let mut open = vec![];
    for piece in &markup.pieces {
        match piece {
            Piece::Open(element) => {
                open.push(element.clone());
                assert!(open.len() <= DEPTH_MAX);
            }
            Piece::Close { name } => {
                let element = open.pop().expect("something is open");
                assert_eq!(*name, element.name);
            }
            Piece::Words(words) => assert!(!words.chars().any(|c| c.is_control() && !"\t\n\r".contains(c))),
            Piece::Empty(_) => {}
        }
    }
    assert!(open.is_empty());
}

#[test]
fn signs_beside_markup_are_words() {
    let text = "Welcome to AT&T. <break time=\"300ms\"/> Is 3 < 5?";
    let (document, spoken) = both(text);
    assert_eq!(document, "<speak>Welcome to AT&amp;T. <break time=\"300ms\"/> Is 3 &lt; 5?</speak>");
    assert_eq!(spoken, "Welcome to AT&T. Is 3 < 5?");
    for words in [
        "a < b && c > d",
        "1 <2 and 3> 2",
        "<ada@example.com>",
        "<https://example.com/a?b=c>",
        "x <y and z> w",
        "<3",
        "<",
        "&;",
        "&unknown; &",
    ] {
        assert_eq!(Ssml::read(words).spoken(), words);
        assert!(!Ssml::read(words).has_tags(), "{words}");
        is_well_formed(words);
    }
}

#[test]
fn what_people_write_becomes_well_formed() {
    for (text, document) in [
        ("a <break time=1s> b", "a <break time=\"1s\"/> b"),
        ("<break time='1s'>a</break>", "<break time=\"1s\"/>a"),
        ("<prosody rate=\"slow\">a", "<prosody rate=\"slow\">a</prosody>"),
        ("a</prosody> b", "a b"),
        (
            "<emphasis><prosody rate='x'>a</emphasis>b</prosody>",
            "<emphasis><prosody rate=\"x\">a</prosody></emphasis>b",
        ),
        ("<sub alias=\"AT&T\">x</sub>", "<sub alias=\"AT&amp;T\">x</sub>"),
        ("<p a='1' a='2' c=3>x</p>", "<p a=\"1\" c=\"3\">x</p>"),
        ("Hello <b>there</b>, <name>!<br>Bye", "Hello there, ! Bye"),
        ("a <!-- secret --> b <?pi?><![CDATA[<c>]]>", "a  b &lt;c&gt;"),
        ("Wait <break time=\"1s\"", "Wait "),
        (
            "<amazon:effect name=\"whispered\">hush</amazon:effect>",
            "<amazon:effect name=\"whispered\">hush</amazon:effect>",
        ),
        ("&lt;b&gt; &#38; &#x2019;&nbsp;&hellip;", "&lt;b&gt; &amp; ’ …"),
        ("a\u{0}b\u{7}c\u{202e}d\u{feff}", "a b cd"),
    ] {
        assert_eq!(both(text).0, format!("<speak>{document}</speak>"), "{text}");
        is_well_formed(text);
    }
    assert_eq!(both("<speak version='1.1'>a</speak> <speak>b</speak>").0, "<speak version=\"1.1\">a b</speak>");
    assert_eq!(both("<speak>a").0, "<speak>a</speak>");
}

#[test]
fn a_voice_without_markup_says_the_words() {
    for (text, spoken) in [
        ("<speak>a<break/>b<p>c</p>d</speak>", "a b c d"),
        ("<sub alias=\"World Wide Web\">WWW</sub>.", "World Wide Web."),
        ("<desc>a dog barks</desc>woof", "woof"),
        ("<say-as interpret-as=\"digits\">12</say-as>", "12"),
    ] {
        assert_eq!(both(text).1, spoken);
    }
}

#[test]
fn what_says_nothing_is_known() {
    for nothing in ["", " \n", "?!…", "🙂🎉", "<break time='2s'/>", "<speak></speak>", "<prosody rate='slow'>", "\u{0}"]
    {
        assert!(!Ssml::read(nothing).says_something(), "{nothing:?}");
    }
    for something in ["a", "5", "<phoneme ph='x'></phoneme>", "<sub alias='x'>-</sub>", "你", "<b>x"] {
        assert!(Ssml::read(something).says_something(), "{something:?}");
    }
    assert_eq!(Ssml::read("<break time='2s'/><break time='250ms'/><break/>").pauses(), Duration::from_millis(2750));
    assert_eq!(Ssml::read("<break time='9999999s'/>").pauses(), BREAK_MAX);
    assert_eq!(Ssml::read("<break time='-1s'/>").pauses(), Duration::from_millis(500));
}

#[test]
fn whatever_comes_is_well_formed() {
    let parts = [
        "<",
        ">",
        "&",
        "\"",
        "'",
        "/",
        "=",
        "<p",
        "<p>",
        "</p>",
        "<s>",
        "</s>",
        "<break",
        "<!--",
        "-->",
        "<![CDATA[",
        "]]>",
        "&amp;",
        "a",
        " ",
        "é",
        "<speak>",
        "</speak>",
        "<prosody rate=\"x\">",
        "</prosody>",
        "<b>",
        "\u{0}",
        "🙂",
        "<x:y z='<'>",
    ];
    let mut state = 7_u32;
    for _ in 0..3000 {
        let text: String = (0..12)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                parts[(state >> 16) as usize % parts.len()]
            })
            .collect();
        is_well_formed(&text);
    }
}

#[test]
fn a_great_deal_of_markup_is_read_in_one_go_and_stays_within_its_bounds() {
    for piece in [
        "<p>",
        "</p>",
        "<break",
        "<break a=\"",
        "<break #",
        "<prosody rate='x'>",
        "<!--",
        "&",
        "<a:b c='d'>",
        "<speak>",
    ] {
        is_well_formed(&piece.repeat(20_000));
    }
    is_well_formed(&format!("<prosody rate=\"{}\">a", "x".repeat(100_000)));
}
