//! The TLS identity of SIP: certificate, key and whom to believe, replaceable while it serves.
//!
//! Invariant: a pair that does not fit, or cannot be read, replaces nothing: the running one goes on. TLS 1.2 and 1.3, on
//! rustls with ring.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Why an identity is refused.
#[derive(Debug, thiserror::Error)]
pub enum BadIdentity {
    /// No certificate in the text.
    #[error("the certificate file holds no certificate in PEM")]
    NoCertificate,
    /// One that is none, after its first line.
    #[error("the certificate file holds a certificate that is damaged")]
    DamagedCertificate,
    /// No key in the text.
    #[error("the key file holds no private key in PEM")]
    NoKey,
    /// A key that asks for a passphrase.
    #[error("the key file holds a key under a passphrase, which nobody is there to type")]
    EncryptedKey,
    /// They do not belong together.
    #[error("certificate and key do not belong together")]
    TwoPairs,
    /// No authority in the text.
    #[error("the client_ca file holds no usable certificate in PEM")]
    NoAuthority,
    /// They are of a kind that is not served.
    #[error("certificate and key cannot be used: {0}")]
    Unfit(rustls::Error),
}

impl From<rustls::Error> for BadIdentity {
    fn from(error: rustls::Error) -> Self {
        match error {
            rustls::Error::InconsistentKeys(_) => Self::TwoPairs,
            rustls::Error::InvalidCertificate(CertificateError::BadEncoding) => Self::DamagedCertificate,
            other => Self::Unfit(other),
        }
    }
}

/// The texts of an identity, in PEM.
#[derive(Clone)]
pub struct IdentityPem {
    /// The chain, the server's certificate first.
    pub certificate: Vec<u8>,
    /// The private key.
    pub key: Vec<u8>,
    /// Authorities of client certificates; with one, a client must show a certificate of theirs.
    pub client_authorities: Option<Vec<u8>>,
}

impl std::fmt::Debug for IdentityPem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IdentityPem(redacted)")
    }
}

/// What the listeners serve with, and how we present ourselves where we connect.
pub struct TlsIdentity {
    serving: Mutex<Arc<ServerConfig>>,
    connecting: Mutex<Arc<ClientConfig>>,
    authorities: Arc<RootCertStore>,
}

impl std::fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsIdentity")
    }
}

impl TlsIdentity {
    /// An identity of these texts. `authorities` are believed where we connect ourselves.
    pub fn new(pem: &IdentityPem, authorities: RootCertStore) -> Result<Self, BadIdentity> {
        let authorities = Arc::new(authorities);
        let serving = Mutex::new(Arc::new(server_config(pem)?));
        let connecting = Mutex::new(Arc::new(client_config(pem, &authorities)?));
        Ok(Self { serving, connecting, authorities })
    }

    /// New connections are served with these texts; those that are up stay as they are.
    pub fn replace(&self, pem: &IdentityPem) -> Result<(), BadIdentity> {
        let (serving, connecting) = (server_config(pem)?, client_config(pem, &self.authorities)?);
        *self.serving.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(serving);
        *self.connecting.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(connecting);
        Ok(())
    }

    /// What other servers of TLS serve with: the certificate as it is at the time of each handshake, whatever name is asked for.
    pub fn certificates(self: &Arc<Self>) -> Arc<dyn ResolvesServerCert> {
        Arc::new(Newest(Arc::clone(self)))
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.serving.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    pub(super) fn connector(&self) -> TlsConnector {
        TlsConnector::from(Arc::clone(&self.connecting.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// The certificate as it is now.
#[derive(Debug)]
struct Newest(Arc<TlsIdentity>);

impl ResolvesServerCert for Newest {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let serving = Arc::clone(&self.0.serving.lock().unwrap_or_else(PoisonError::into_inner));
        serving.cert_resolver.resolve(hello)
    }
}

type Pair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn pair(pem: &IdentityPem) -> Result<Pair, BadIdentity> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&pem.certificate)
        .collect::<Result<_, _>>()
        .map_err(|_| BadIdentity::DamagedCertificate)?;
    if chain.is_empty() {
        return Err(BadIdentity::NoCertificate);
    }
    // `BEGIN ENCRYPTED PRIVATE KEY`, and `Proc-Type: 4,ENCRYPTED` of old.
    if pem.key.windows(b"ENCRYPTED".len()).any(|text| text == b"ENCRYPTED") {
        return Err(BadIdentity::EncryptedKey);
    }
    let key = PrivateKeyDer::from_pem_slice(&pem.key).map_err(|_| BadIdentity::NoKey)?;
    Ok((chain, key))
}

/// How we connect to a far end whose connection is gone: with our own certificate, for those that ask for one.
fn client_config(pem: &IdentityPem, authorities: &Arc<RootCertStore>) -> Result<ClientConfig, BadIdentity> {
    let (chain, key) = pair(pem)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let chains = if authorities.is_empty() {
        None // nobody is believed: no connection comes about
    } else {
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::clone(authorities), provider).build();
        Some(verifier.map_err(|_| BadIdentity::NoAuthority)?)
    };
    let verifier = Arc::new(KnownByAddress { chains });
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    Ok(builder.with_client_auth_cert(chain, key)?)
}

/// Believes a chain of the authorities. Its name must fit where there is one to fit: the Record-Route of many carriers is an
/// address, which their certificates do not name (RFC 5922 section 7.1 speaks of domains alone).
#[derive(Debug)]
struct KnownByAddress {
    chains: Option<Arc<WebPkiServerVerifier>>,
}

impl KnownByAddress {
    fn chains(&self) -> Result<&WebPkiServerVerifier, rustls::Error> {
        self.chains.as_deref().ok_or(rustls::Error::General("no authority is believed".to_owned()))
    }
}

impl ServerCertVerifier for KnownByAddress {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = self.chains()?.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match (verified, server_name) {
            // The chain is good: the name is looked at last.
            (
                Err(rustls::Error::InvalidCertificate(
                    CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
                )),
                ServerName::IpAddress(_),
            ) => Ok(ServerCertVerified::assertion()),
            (verified, _) => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chains()?.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chains()?.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

fn server_config(pem: &IdentityPem) -> Result<ServerConfig, BadIdentity> {
    let (chain, key) = pair(pem)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let builder = match &pem.client_authorities {
        None => builder.with_no_client_auth(),
        Some(authorities) => {
            let mut roots = RootCertStore::empty();
            let all = CertificateDer::pem_slice_iter(authorities).collect::<Result<Vec<_>, _>>().unwrap_or_default();
            roots.add_parsable_certificates(all);
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|_| BadIdentity::NoAuthority)?)
        }
    };
    Ok(builder.with_single_cert(chain, key)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pem() -> IdentityPem {
        let made = rcgen::generate_simple_self_signed(vec!["sip.example.com".to_owned()]).expect("a certificate");
        let (certificate, key) = (made.cert.pem().into_bytes(), made.signing_key.serialize_pem().into_bytes());
        IdentityPem { certificate, key, client_authorities: None }
    }

    /// Shakes hands in memory with a client that shows this certificate, or none.
    async fn shakes_hands(server: &IdentityPem, client: Option<&IdentityPem>) -> bool {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let identity = TlsIdentity::new(server, RootCertStore::empty()).expect("good");
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&server.certificate).map(|c| c.expect("good")));
        let builder = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots);
        let config = match client {
            None => builder.with_no_client_auth(),
            Some(pem) => {
                let chain = CertificateDer::pem_slice_iter(&pem.certificate).map(|c| c.expect("good")).collect();
                let key = PrivateKeyDer::from_pem_slice(&pem.key).expect("good");
                builder.with_client_auth_cert(chain, key).expect("they fit")
            }
        };
        let (near, far) = tokio::io::duplex(16_384);
        let name = rustls::pki_types::ServerName::try_from("sip.example.com").expect("a name");
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let asking = async {
            let mut stream = connector.connect(name, near).await.ok()?;
            stream.write_all(b"x").await.ok()?;
            stream.read_u8().await.ok()
        };
        let serving = async {
            let mut stream = identity.acceptor().accept(far).await.ok()?;
            let byte = stream.read_u8().await.ok()?;
            stream.write_all(&[byte]).await.ok()?;
            stream.flush().await.ok()
        };
        let (asked, served) = tokio::join!(asking, serving);
        asked.is_some() && served.is_some()
    }

    #[tokio::test]
    async fn a_client_certificate_is_wanted_only_where_its_authority_is_named() {
        let (server, client, stranger) = (pem(), pem(), pem());
        assert!(shakes_hands(&server, None).await);
        let strict = IdentityPem { client_authorities: Some(client.certificate.clone()), ..server };
        assert!(shakes_hands(&strict, Some(&client)).await);
        assert!(!shakes_hands(&strict, None).await);
        assert!(!shakes_hands(&strict, Some(&stranger)).await);
    }

    #[test]
    fn a_bad_pair_replaces_nothing() {
        let good = pem();
        let identity = TlsIdentity::new(&good, RootCertStore::empty()).expect("good");
        let before = Arc::clone(&identity.serving.lock().expect("not poisoned"));
        let unfit = IdentityPem { key: pem().key, ..good.clone() };
        assert!(matches!(identity.replace(&unfit), Err(BadIdentity::TwoPairs)));
        let encrypted = IdentityPem { key: b"-----BEGIN ENCRYPTED PRIVATE KEY-----".to_vec(), ..good.clone() };
        assert!(matches!(identity.replace(&encrypted), Err(BadIdentity::EncryptedKey)));
        let half = [&good.certificate[..], b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n"].concat();
        let damaged = IdentityPem { certificate: half, ..good.clone() };
        assert!(matches!(identity.replace(&damaged), Err(BadIdentity::DamagedCertificate)));
        let no_key = IdentityPem { key: b"hello".to_vec(), ..good.clone() };
        assert!(matches!(identity.replace(&no_key), Err(BadIdentity::NoKey)));
        let no_certificate = IdentityPem { certificate: vec![], ..good.clone() };
        assert!(matches!(identity.replace(&no_certificate), Err(BadIdentity::NoCertificate)));
        let no_authority = IdentityPem { client_authorities: Some(vec![]), ..good.clone() };
        assert!(matches!(identity.replace(&no_authority), Err(BadIdentity::NoAuthority)));
        assert!(Arc::ptr_eq(&before, &identity.serving.lock().expect("not poisoned")));
        identity.replace(&pem()).expect("another good one");
        assert!(!Arc::ptr_eq(&before, &identity.serving.lock().expect("not poisoned")));
        assert!(!format!("{good:?}").contains("PRIVATE"));
    }
}
