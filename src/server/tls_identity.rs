//! The files of the TLS identity: read at the start, on change, and on SIGHUP.
//!
//! Invariant: a bad file is told and changes nothing; the identity that serves goes on.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bellhop_actors::signalling::tls::{IdentityPem, TlsIdentity};
use bellhop_adapters::authorities;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::Tls;

/// How often the files are looked at.
pub const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Reads the files and keeps reading them as they change; must be called on an actix system.
pub fn serve(files: &Tls) -> Result<Arc<TlsIdentity>, String> {
    let pem = read(files)?;
    let identity = Arc::new(TlsIdentity::new(&pem, authorities()).map_err(|error| error.to_string())?);
    tell_expiry(&pem);
    let hang_up = signal(SignalKind::hangup()).map_err(|error| error.to_string())?;
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
        let replaced = read(&files).and_then(|pem| {
            identity.replace(&pem).map_err(|error| error.to_string())?;
            tell_expiry(&pem);
            Ok(())
        });
        match replaced {
            Ok(()) => tracing::info!("the TLS certificate has been read anew"),
            Err(error) => tracing::error!(error, "the TLS certificate is bad: the one before goes on"),
        }
    }
}

/// When the first certificate that serves expires becomes a metric.
fn tell_expiry(pem: &IdentityPem) {
    use x509_parser::pem::Pem;
    let expiries = Pem::iter_from_buffer(&pem.certificate).filter_map(|one| {
        let one = one.ok()?;
        Some(one.parse_x509().ok()?.validity().not_after.timestamp())
    });
    if let Some(expiry) = expiries.min() {
        bellhop_actors::metrics::certificate_expires(expiry);
    }
}

fn changed(files: &Tls) -> Vec<Option<SystemTime>> {
    let at = |path: &Path| std::fs::metadata(path).and_then(|about| about.modified()).ok();
    [Some(&files.certificate), Some(&files.key), files.client_ca.as_ref()]
        .into_iter()
        .flatten()
        .map(|f| at(f))
        .collect()
}

/// Reads the files without serving them.
pub fn check(files: &Tls) -> Result<(), String> {
    TlsIdentity::new(&read(files)?, authorities()).map(|_| ()).map_err(|error| error.to_string())
}

fn read(files: &Tls) -> Result<IdentityPem, String> {
    let bytes =
        |path: &Path| std::fs::read(path).map_err(|error| format!("{} cannot be read: {error}", path.display()));
    Ok(IdentityPem {
        certificate: bytes(&files.certificate)?,
        key: bytes(&files.key)?,
        client_authorities: files.client_ca.as_deref().map(bytes).transpose()?,
    })
}
