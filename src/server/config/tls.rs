//! What the file says of TLS: `[sip.tls]` and `[http.tls]`.

use std::path::PathBuf;

use super::reader::Section;

/// `[sip.tls]` or `[http.tls]`: files in PEM, relative to the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// Which of the two.
    pub section: &'static str,
    /// `certificate`: the chain.
    pub certificate: PathBuf,
    /// `key`
    pub key: PathBuf,
    /// `client_ca` of `[sip.tls]`: with it, clients must show a certificate of one of these.
    pub client_ca: Option<PathBuf>,
}

/// `name` is that of the section.
pub(super) fn read_tls(name: &'static str, section: &Section<'_>) -> Option<Tls> {
    let before = section.mistakes();
    let tls = Tls {
        section: name,
        certificate: section.relative(&section.required_text("certificate")),
        key: section.relative(&section.required_text("key")),
        client_ca: if name == "sip.tls" { section.text("client_ca").map(|file| section.relative(&file)) } else { None },
    };
    section.finish();
    (section.mistakes() == before).then_some(tls)
}
