//! TLS of a destination: the certificates to trust, and the certificate to show.

use std::path::PathBuf;
#[cfg(feature = "setup-tls")]
use std::sync::Arc;

use super::endpoint::Origin;
#[cfg(feature = "setup-tls")]
use super::{SetupError, environment::Environment};

/// The TLS configuration of a client. It does not exist without the feature `setup-tls`.
#[cfg(feature = "setup-tls")]
pub(crate) type TlsConfig = Arc<rustls::ClientConfig>;

/// A file with certificates or a key in PEM, and where its path was set.
#[derive(Debug)]
pub(super) struct PemFile {
    #[cfg_attr(not(feature = "setup-tls"), expect(dead_code, reason = "files are read for TLS"))]
    pub(super) path: PathBuf,
    pub(super) origin: Origin,
}

/// The files of a destination.
#[derive(Debug, Default)]
pub(super) struct TlsFiles {
    /// Certificates to trust instead of those of the system.
    pub(super) certificate: Option<PemFile>,
    /// The certificates that the exporter shows.
    pub(super) client_certificate: Option<PemFile>,
    pub(super) client_key: Option<PemFile>,
}

impl TlsFiles {
    /// Returns the variables that are set.
    pub(super) fn variables(&self) -> impl Iterator<Item = &str> {
        [&self.certificate, &self.client_certificate, &self.client_key]
            .into_iter()
            .flatten()
            .filter_map(|file| match &file.origin {
                Origin::Variable(name) => Some(name.as_str()),
                Origin::Code | Origin::Default => None,
            })
    }
}

impl PemFile {
    /// Returns the error of a file, as a variable's fault or a setting's.
    ///
    /// The system's certificates in the place of a file that can't be read would trust receivers that the
    /// operator did not mean, so nothing is exported then.
    #[cfg(feature = "setup-tls")]
    fn fault<T>(
        &self,
        environment: &Environment<'_>,
        reason: &str,
    ) -> Result<Option<T>, SetupError> {
        let path = self.path.display();
        match &self.origin {
            Origin::Variable(name) => {
                let sentence = format!("{name} names the file {path}, {reason}");
                let error = SetupError::variable(name, sentence);
                environment.fault(error, "nothing is exported with it").map(|()| None)
            }
            Origin::Code | Origin::Default => {
                let reason = format!("the file {path}, {reason}");
                Err(SetupError::setting("the certificate files of `Otlp`", reason))
            }
        }
    }
}

#[cfg(feature = "setup-tls")]
impl TlsFiles {
    /// Reads the files. Returns `None` if one of them is at fault.
    pub(super) fn config(
        &self,
        environment: &Environment<'_>,
    ) -> Result<Option<TlsConfig>, SetupError> {
        use hyper_rustls::ConfigBuilderExt;
        use rustls::{ClientConfig, RootCertStore, crypto::ring};

        let invalid = |error: &dyn std::fmt::Display| SetupError::setting("TLS of OTLP", error);
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| invalid(&error))?;
        let builder = match &self.certificate {
            Some(file) => {
                let Some(certificates) = file.certificates(environment)? else { return Ok(None) };
                let mut roots = RootCertStore::empty();
                let (added, _) = roots.add_parsable_certificates(certificates);
                if added == 0 {
                    return file.fault(environment, "which holds no certificate to trust");
                }
                builder.with_root_certificates(roots)
            }
            None => builder.with_native_roots().map_err(|error| invalid(&error))?,
        };
        let config = match (&self.client_certificate, &self.client_key) {
            (None, None) => builder.with_no_client_auth(),
            (Some(file), None) => {
                return file.fault(environment, "but no file with its key is set");
            }
            (None, Some(file)) => {
                return file.fault(environment, "but no file with its certificate is set");
            }
            (Some(certificate), Some(key)) => {
                let (Some(chain), Some(private_key)) =
                    (certificate.certificates(environment)?, key.private_key(environment)?)
                else {
                    return Ok(None);
                };
                match builder.with_client_auth_cert(chain, private_key) {
                    Ok(config) => config,
                    Err(_) => {
                        return key.fault(environment, "whose key does not fit to the certificate");
                    }
                }
            }
        };
        Ok(Some(Arc::new(config)))
    }
}

#[cfg(feature = "setup-tls")]
impl PemFile {
    fn certificates(
        &self,
        environment: &Environment<'_>,
    ) -> Result<Option<Vec<rustls::pki_types::CertificateDer<'static>>>, SetupError> {
        use rustls::pki_types::{CertificateDer, pem::PemObject};

        let certificates = CertificateDer::pem_file_iter(&self.path)
            .and_then(|certificates| certificates.collect::<Result<Vec<_>, _>>());
        match certificates {
            Ok(certificates) if !certificates.is_empty() => Ok(Some(certificates)),
            Ok(_) => self.fault(environment, "which holds no certificate in PEM"),
            Err(_) => self.fault(environment, UNREADABLE),
        }
    }

    fn private_key(
        &self,
        environment: &Environment<'_>,
    ) -> Result<Option<rustls::pki_types::PrivateKeyDer<'static>>, SetupError> {
        use rustls::pki_types::{PrivateKeyDer, pem::PemObject};

        match PrivateKeyDer::from_pem_file(&self.path) {
            Ok(key) => Ok(Some(key)),
            // The error is not shown, because it may quote the key.
            Err(_) => self.fault(environment, "which holds no private key in PEM or can't be read"),
        }
    }
}

#[cfg(feature = "setup-tls")]
const UNREADABLE: &str = "which can't be read or is not PEM";
