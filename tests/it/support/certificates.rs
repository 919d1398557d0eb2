//! Certificates of a test's own authority, and a listener that uses them.

use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::server::TlsStream;

/// The certificate and key of a service, and the authority that issued it, in PEM.
pub struct Issued {
    pub cert: String,
    pub key: String,
    pub authority: String,
}

/// For this machine.
pub fn issue() -> Issued {
    issue_with(&["localhost", "127.0.0.1"], |_| {})
}

/// For these names, and changed before it is signed.
pub fn issue_with(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Issued {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new([]).unwrap();
    // A unique name: with two authorities of the same name, the other's key would be tried.
    authority.distinguished_name.push(
        rcgen::DnType::CommonName,
        authority_key
            .serialize_pem()
            .get(40..80)
            .unwrap_or_default(),
    );
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_cert = authority.self_signed(&authority_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(
        names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<Vec<_>>(),
    )
    .unwrap();
    change(&mut params);
    let cert = params
        .signed_by(&key, &Issuer::new(authority, authority_key))
        .unwrap();
    Issued {
        cert: cert.pem(),
        key: key.serialize_pem(),
        authority: authority_cert.pem(),
    }
}

impl Issued {
    /// What a server needs to present it.
    pub fn chain(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        (
            vec![CertificateDer::from_pem_slice(self.cert.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap(),
        )
    }
}

/// A TLS listener on loopback, for axum.
pub struct TlsListener {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl TlsListener {
    pub async fn bind(issued: &Issued) -> Self {
        let (chain, key) = issued.chain();
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        Self {
            listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
            acceptor: TlsAcceptor::from(Arc::new(config)),
        }
    }
}

impl axum::serve::Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, from) = self.listener.accept().await.unwrap();
            // Clients that do not trust it hang up.
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, from);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}
