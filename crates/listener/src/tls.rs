//! TLS on our own port: the certificate and its key, reloaded when their files change.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use tableferry_telemetry::error_chain::in_words;

/// The paths of the certificate and its key, both in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// `TABLEFERRY_TLS_CERT`: the certificate, followed by its intermediate certificates.
    pub cert: PathBuf,
    /// `TABLEFERRY_TLS_KEY`: the private key.
    pub key: PathBuf,
}

/// Why a certificate cannot be used. No message contains anything of the key.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read {}", path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{} does not contain a certificate in PEM (-----BEGIN CERTIFICATE-----)", path.display())]
    NoCertificate { path: PathBuf },
    #[error("{} does not contain a private key in PEM (-----BEGIN PRIVATE KEY-----)", path.display())]
    NoKey { path: PathBuf },
    /// The key does not match the certificate, or TLS cannot use their kind.
    #[error("the certificate in {} and the key in {} cannot be used together", files.cert.display(), files.key.display())]
    Pair {
        files: TlsFiles,
        source: rustls::Error,
    },
}

/// The current certificate.
pub struct Tls {
    files: TlsFiles,
    acceptor: Mutex<TlsAcceptor>,
    /// The digest of the files when they were last read.
    seen: Mutex<Seen>,
}

type Seen = [u8; 32];

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

impl Tls {
    pub async fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let (cert, key) = read_both(&files).await?;
        let acceptor = Mutex::new(acceptor(&files, &cert, &key)?);
        Ok(Self {
            seen: Mutex::new(digest(&cert, &key)),
            files,
            acceptor,
        })
    }

    /// Does the TLS handshake.
    pub async fn accept(&self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        let acceptor = self
            .acceptor
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        acceptor.accept(stream).await
    }

    /// Checks the files periodically and reloads them when they change. Open connections keep the
    /// certificate they began with.
    pub async fn watch(self: Arc<Self>, every: Duration, stop: CancellationToken) {
        let mut unreadable = false;
        loop {
            tokio::select! {
                () = tokio::time::sleep(every) => {}
                () = stop.cancelled() => return,
            }
            match read_both(&self.files).await {
                Ok((cert, key)) => {
                    unreadable = false;
                    self.reload(&cert, &key);
                }
                Err(error) => {
                    if !unreadable {
                        log_unusable(&error);
                    }
                    unreadable = true;
                }
            }
        }
    }

    fn reload(&self, cert: &[u8], key: &[u8]) {
        let new = digest(cert, key);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::replace(&mut *seen, new) == new {
            return;
        }
        match acceptor(&self.files, cert, key) {
            Ok(acceptor) => {
                *self.acceptor.lock().unwrap_or_else(PoisonError::into_inner) = acceptor;
                tracing::info!("the certificate was reloaded; new connections use it");
            }
            Err(error) => log_unusable(&error),
        }
    }
}

fn log_unusable(error: &TlsError) {
    tracing::error!(
        error.message = in_words(error),
        "the new certificate cannot be used; the previous one stays in use"
    );
}

const READ_LIMIT: Duration = Duration::from_secs(10);

async fn read_both(files: &TlsFiles) -> Result<(Vec<u8>, Vec<u8>), TlsError> {
    // A hanging file system counts as unreadable.
    let read = async |path: &Path| {
        let read = tokio::time::timeout(READ_LIMIT, tokio::fs::read(path)).await;
        let read = read.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
        read.map_err(|source| TlsError::Read {
            path: path.to_owned(),
            source,
        })
    };
    Ok((read(&files.cert).await?, read(&files.key).await?))
}

fn digest(cert: &[u8], key: &[u8]) -> Seen {
    Sha256::new()
        .chain_update(Sha256::digest(cert))
        .chain_update(Sha256::digest(key))
        .finalize()
        .into()
}

fn acceptor(files: &TlsFiles, cert: &[u8], key: &[u8]) -> Result<TlsAcceptor, TlsError> {
    let no_certificate = || TlsError::NoCertificate {
        path: files.cert.clone(),
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(cert).collect();
    let chain = chain
        .ok()
        .filter(|chain| !chain.is_empty())
        .ok_or_else(no_certificate)?;
    // The parser's error is dropped, because it might contain parts of the key.
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| TlsError::NoKey {
        path: files.key.clone(),
    })?;
    let versions = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions();
    let config =
        versions.and_then(|versions| versions.with_no_client_auth().with_single_cert(chain, key));
    let mut config = config.map_err(|source| TlsError::Pair {
        files: files.clone(),
        source,
    })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
