//! Amazon Transcribe and Amazon Polly behind the ports of recognizer and synthesizer.
//!
//! Invariant: an account's secret leaves this crate only as a signature; what callers say and hear is in no error.

pub mod polly;
pub mod transcribe;

use std::fmt;

use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::result::SdkError;
use bellhop_adapters::reach::{Endpoint, PrivateAddress, Reach};
use bellhop_dialogue::ports::{Fields, ServiceFailure};

/// An account in a Region.
#[derive(Clone)]
pub struct Account {
    /// Like `eu-west-2`.
    pub region: String,
    /// The key's id.
    pub access_key_id: String,
    /// The key's secret.
    pub secret_access_key: String,
    /// Another endpoint than the Region's: a VPC endpoint, or a stand-in.
    pub endpoint: Option<Endpoint>,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Account({}, redacted)", self.region)
    }
}

impl Account {
    fn credentials(&self) -> aws_credential_types::Credentials {
        let (id, secret) = (&self.access_key_id, &self.secret_access_key);
        aws_credential_types::Credentials::new(id, secret, None, None, "bellhop tenant")
    }
}

/// rustls with ring, and HTTP/2 where it is offered. Its windows cannot be set: see `docs/performance.md`.
fn http_client(endpoint: Option<&Endpoint>) -> SharedHttpClient {
    // Amazon's own names may lead to a private endpoint of the operator's network.
    let reach = endpoint.map_or(Reach::Everywhere, Endpoint::reach);
    aws_smithy_http_client::Builder::new()
        .pool_max_idle_per_host(bellhop_adapters::IDLE_CONNECTIONS_MAX)
        .tls_provider(aws_smithy_http_client::tls::Provider::Rustls(
            aws_smithy_http_client::tls::rustls_provider::CryptoMode::Ring,
        ))
        .build_with_resolver(reach)
}

/// What went wrong, by the code of the error alone: its message may repeat a text.
fn failure<E, R>(error: &SdkError<E, R>, code: Option<&str>) -> ServiceFailure {
    let why = match error {
        SdkError::TimeoutError(_) => return ServiceFailure::Overdue,
        SdkError::DispatchFailure(broken) if broken.is_timeout() => return ServiceFailure::Overdue,
        SdkError::DispatchFailure(broken)
            if broken.as_connector_error().is_some_and(|error| PrivateAddress::is_cause_of(error)) =>
        {
            PrivateAddress.to_string()
        }
        SdkError::DispatchFailure(_) => "it cannot be reached".to_owned(),
        _ => match code {
            Some(code @ ("UnrecognizedClientException" | "InvalidSignatureException" | "AccessDeniedException")) => {
                format!("{code}: check the access key and its permissions")
            }
            Some(code) => code.to_owned(),
            None => "it gave an answer that is none".to_owned(),
        },
    };
    ServiceFailure::Unavailable { why }
}

/// A parameter as text.
fn text(parameters: &Fields, name: &str) -> Option<String> {
    let value = parameters.get(name)?;
    Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned)).filter(|text| !text.is_empty())
}

/// The language of a Watson model or voice, like `en-US_Telephony`: an assistant that was made for those is understood.
fn language_of(watson: &str) -> Option<&str> {
    let (language, _) = watson.split_once('_')?;
    (language.len() == 5 && language.as_bytes()[2] == b'-').then_some(language)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_of_a_watson_model_is_known() {
        assert_eq!(language_of("es-ES_Telephony"), Some("es-ES"));
        assert_eq!(language_of("Joanna"), None);
        assert_eq!(language_of("a_b"), None);
    }

    #[test]
    fn an_account_prints_no_secret() {
        let account = Account {
            region: "eu-west-2".into(),
            access_key_id: "AKIA".into(),
            secret_access_key: "s3cret".into(),
            endpoint: None,
        };
        assert_eq!(format!("{account:?}"), "Account(eu-west-2, redacted)");
    }
}
