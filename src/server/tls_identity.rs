//! The files of the TLS identity: read at the start, on change, and on SIGHUP.
//!
//! Invariant: a bad file is told by its key and its name, and changes nothing; the identity that serves goes on. Whoever
//! writes to a file that is a pipe keeps no call waiting.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bellhop_actors::signalling::tls::{BadIdentity, IdentityPem, TlsIdentity};
use bellhop_adapters::authorities;
use jiff::Timestamp;
use tokio::signal::unix::{SignalKind, signal};
use x509_parser::extensions::GeneralName;
use x509_parser::pem::Pem;

use crate::config::{TEXT_MAX, Tls, read_bytes};

/// How often the files are looked at.
pub const LOOK_EVERY: Duration = Duration::from_secs(10);

/// What is wrong with one of the files.
#[derive(Debug, thiserror::Error)]
#[error("{section}.{key}: {why}")]
pub struct BadFile {
    /// Whose files they are: `sip.tls` or `http.tls`.
    pub section: &'static str,
    /// Which names it, below that.
    pub key: &'static str,
    /// A sentence with the file's name.
    pub why: String,
}

/// Reads the files and keeps reading them as they change; must be called on an actix system.
pub fn serve(files: &Tls) -> Result<Arc<TlsIdentity>, BadFile> {
    let pem = read(files)?;
    let identity = Arc::new(TlsIdentity::new(&pem, authorities()).map_err(|error| bad(files, &error))?);
    tell_expiry(files, &pem);
    let hang_up = signal(SignalKind::hangup());
    let hang_up = hang_up.map_err(|error| BadFile {
        section: files.section,
        key: "certificate",
        why: format!("SIGHUP: {error}"),
    })?;
    actix_rt::spawn(watch(files.clone(), Arc::clone(&identity), hang_up));
    Ok(identity)
}

async fn watch(files: Tls, identity: Arc<TlsIdentity>, mut hang_up: tokio::signal::unix::Signal) {
    let mut seen = changed(&files);
    loop {
        let asked = tokio::select! {
            told = hang_up.recv() => told.is_some(),
            () = tokio::time::sleep(LOOK_EVERY) => false,
        };
        let now = changed(&files);
        if now == seen && !asked {
            continue;
        }
        seen = now;
        let (files, identity) = (files.clone(), Arc::clone(&identity));
        let replaced = tokio::task::spawn_blocking(move || replace(&files, &identity)).await;
        match replaced {
            Ok(Ok(())) => tracing::info!("the TLS certificate has been read anew"),
            Ok(Err(error)) => tracing::error!(%error, "the TLS certificate is bad: the one before goes on"),
            Err(error) => tracing::error!(%error, "the TLS certificate could not be read: the one before goes on"),
        }
    }
}

/// One that has expired replaces none: what serves is no worse.
fn replace(files: &Tls, identity: &TlsIdentity) -> Result<(), BadFile> {
    let pem = read(files)?;
    if let Some(why) = out_of_date(files, &pem, Timestamp::now()) {
        return Err(BadFile { section: files.section, key: "certificate", why });
    }
    identity.replace(&pem).map_err(|error| bad(files, &error))?;
    tell_expiry(files, &pem);
    Ok(())
}

/// When the first certificate that serves SIP expires becomes a metric.
fn tell_expiry(files: &Tls, pem: &IdentityPem) {
    if let ("sip.tls", Some(expiry)) = (files.section, validities(pem).map(|(_, until)| until).min()) {
        bellhop_actors::metrics::certificate_expires(expiry);
    }
}

/// From when to when each certificate of the chain is valid, in seconds since 1970.
fn validities(pem: &IdentityPem) -> impl Iterator<Item = (i64, i64)> {
    Pem::iter_from_buffer(&pem.certificate).filter_map(|one| {
        let one = one.ok()?;
        let validity = one.parse_x509().ok()?.validity().clone();
        Some((validity.not_before.timestamp(), validity.not_after.timestamp()))
    })
}

/// What a far end would refuse of a chain at this time.
fn out_of_date(files: &Tls, pem: &IdentityPem, now: Timestamp) -> Option<String> {
    let (name, day) = (files.certificate.display(), |at: i64| {
        Timestamp::from_second(at).map(|at| at.strftime("%F %T UTC").to_string())
    });
    validities(pem).find_map(|(from, until)| match now.as_second() {
        now if now > until => Some(format!("{name} expired at {}: far ends refuse it", day(until).unwrap_or_default())),
        now if now < from => {
            Some(format!("{name} is valid from {} on: far ends refuse it until then", day(from).unwrap_or_default()))
        }
        _ => None,
    })
}

fn changed(files: &Tls) -> Vec<Option<SystemTime>> {
    let at = |path: &Path| std::fs::metadata(path).and_then(|about| about.modified()).ok();
    [Some(&files.certificate), Some(&files.key), files.client_ca.as_ref()]
        .into_iter()
        .flatten()
        .map(|f| at(f))
        .collect()
}

/// The names that the certificate is for, in lower case, and whether it vouches for itself; nothing where it cannot be read.
pub fn named(files: &Tls) -> (Vec<String>, bool) {
    let Ok(pem) = read(files) else { return (vec![], false) };
    let first = Pem::iter_from_buffer(&pem.certificate).flatten().next();
    let Some(first) = first else { return (vec![], false) };
    let Ok(certificate) = first.parse_x509() else { return (vec![], false) };
    let names = certificate.subject_alternative_name().ok().flatten().map(|extension| &extension.value.general_names);
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    };
    let names = names.into_iter().flatten().filter_map(name).collect();
    (names, certificate.subject() == certificate.issuer())
}

/// Reads the files without serving them.
pub fn check(files: &Tls) -> Result<(), BadFile> {
    TlsIdentity::new(&read(files)?, authorities()).map(drop).map_err(|error| bad(files, &error))
}

/// What serves, and should not be like that.
pub fn warnings(files: &Tls) -> Vec<String> {
    let late = read(files).ok().and_then(|pem| out_of_date(files, &pem, Timestamp::now()));
    let late = late.map(|why| format!("{}.certificate: {why}", files.section));
    let mode =
        std::fs::metadata(&files.key).ok().filter(std::fs::Metadata::is_file).map(|key| key.permissions().mode());
    let open = mode.filter(|mode| mode & 0o004 != 0).map(|_| {
        let key = files.key.display();
        format!("{}.key: everybody on this machine may read {key}: let its owner alone (chmod 600)", files.section)
    });
    late.into_iter().chain(open).collect()
}

fn read(files: &Tls) -> Result<IdentityPem, BadFile> {
    let bytes = |key: &'static str, path: &Path| {
        read_bytes(path, TEXT_MAX).map_err(|why| BadFile {
            section: files.section,
            key,
            why: format!("the file {} {why}", path.display()),
        })
    };
    Ok(IdentityPem {
        certificate: bytes("certificate", &files.certificate)?,
        key: bytes("key", &files.key)?,
        client_authorities: files.client_ca.as_deref().map(|path| bytes("client_ca", path)).transpose()?,
    })
}

/// Whose fault it is, and what to do.
fn bad(files: &Tls, error: &BadIdentity) -> BadFile {
    let (certificate, key) = (files.certificate.display(), files.key.display());
    let (at, why) = match error {
        BadIdentity::NoCertificate => ("certificate", format!("the file {certificate} holds no certificate in PEM")),
        BadIdentity::DamagedCertificate => {
            ("certificate", format!("the file {certificate} holds a certificate that is damaged"))
        }
        BadIdentity::NoKey => ("key", format!("the file {key} holds no private key in PEM")),
        BadIdentity::EncryptedKey => (
            "key",
            format!(
                "the key in {key} is under a passphrase, which nobody is there to type: write it without (openssl pkey)"
            ),
        ),
        BadIdentity::TwoPairs => {
            ("key", format!("the key in {key} does not belong to the certificate in {certificate}"))
        }
        BadIdentity::NoAuthority => {
            let file = files.client_ca.as_deref().unwrap_or(Path::new("")).display();
            ("client_ca", format!("the file {file} holds no usable certificate in PEM"))
        }
        BadIdentity::Unfit(error) => ("key", format!("{certificate} and {key} cannot be used: {error}")),
    };
    BadFile { section: files.section, key: at, why }
}
